import type { NodeClassifyRequest, NodeClassifyResponse } from '../../shared/api/nodes.ts';
import { AppError } from '../../shared/errors.ts';
import type { LiveNode } from '../base-models.ts';
import type { Deadline } from './deadline.ts';
import { noAnswer, noNode, tooLate } from './no-capacity.ts';
import { mayDoBetterElsewhere, type NodeClient, NodeSilent, NodeTrouble } from './node-client.ts';
import type { NodeTraffic, Outcome } from './node-traffic.ts';
import { pickNode } from './pick-node.ts';

/** A node is told to end so much before the edge stops to listen: this part of its time, and at most so many milliseconds. */
const ANSWER_PART = 1 / 10;
const ANSWER_MS = 500;
/** Silence is held against a node that had so many milliseconds: a client may give it fewer than any takes. */
const FAIR_MS = 2_000;

/** What one node is to answer. */
export interface Question {
  /** Undefined where no node can. */
  node: LiveNode | undefined;
  /** The nodes that can. */
  candidates: readonly LiveNode[];
  /** Of the first row. */
  bundle: string;
  baseModel: string;
  body: NodeClassifyRequest;
}

/**
 * Asks a node, and where that is lost, silent, in trouble or full once another. Where there is another, the first has
 * half of the time that is left.
 * @throws {AppError} `no_capacity` without a node that answers, and what a node says of the rows or of itself: where two nodes have not
 * answered, what either has said
 */
export async function askNode(
  client: NodeClient,
  traffic: NodeTraffic,
  { node, candidates, bundle, baseModel, body }: Question,
  deadline: Deadline,
): Promise<NodeClassifyResponse> {
  if (!node) throw noNode(baseModel);
  if (deadline.left < 1) throw tooLate();
  const others = candidates.filter((other) => other !== node);
  const second = pickNode(traffic.available(others), bundle, ({ id }) => traffic.load(id));
  try {
    return await attempt(client, traffic, node, body, second ? deadline.left / 2 : deadline.left);
  } catch (error) {
    if (!mayDoBetterElsewhere(error)) throw error;
    if (!second) throw asProblem(error, baseModel);
    return await attempt(client, traffic, second, body, deadline.left).catch((cause) => {
      throw asProblem(cause instanceof NodeTrouble ? error : cause, baseModel);
    });
  }
}

/** What the client is told of nodes that have not answered. */
export function asProblem(error: unknown, baseModel: string): unknown {
  if (error instanceof AppError) return error.code === 'model_not_found' ? noNode(baseModel, error) : error;
  return noAnswer(baseModel, error);
}

async function attempt(
  client: NodeClient,
  traffic: NodeTraffic,
  node: LiveNode,
  body: NodeClassifyRequest,
  leftMs: number,
): Promise<NodeClassifyResponse> {
  const timeoutMs = Math.floor(leftMs);
  const deadlineMs = Math.floor(timeoutMs - Math.min(ANSWER_MS, ANSWER_PART * timeoutMs));
  if (deadlineMs < 1) throw new NodeTrouble('there is no time left to ask a node');
  const end = traffic.begin(node.id, body.rows.length, timeoutMs);
  try {
    const answer = await client.classify(node, { ...body, deadline_ms: deadlineMs }, timeoutMs);
    end({ waiting: answer.waiting });
    return answer;
  } catch (error) {
    end(outcomeOf(error, timeoutMs));
    throw error;
  }
}

function outcomeOf(error: unknown, timeoutMs: number): Outcome {
  if (error instanceof NodeSilent && timeoutMs < FAIR_MS) return 'unknown';
  if (error instanceof NodeTrouble) return 'trouble';
  return error instanceof AppError && error.code === 'rate_limited' ? 'full' : { waiting: undefined };
}
