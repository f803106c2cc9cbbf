import type { NodeClassifyRequest, NodeClassifyResponse } from '../../shared/api/nodes.ts';
import { AppError } from '../../shared/errors.ts';
import type { LiveNode } from '../base-models.ts';
import type { Deadline } from './deadline.ts';
import { noAnswer, noNode, tooLate } from './no-capacity.ts';
import { mayDoBetterElsewhere, type NodeClient, NodeSilent, NodeTrouble } from './node-client.ts';
import type { NodeTraffic, Outcome } from './node-traffic.ts';
import { pickNode } from './pick-node.ts';

/** Part of the edge's waiting time by which a node must end earlier; `ANSWER_MS` bounds it. */
const ANSWER_PART = 1 / 10;
const ANSWER_MS = 500;
/** Milliseconds that a node must have had before its silence counts against it: a client may give it too few for any node. */
const FAIR_MS = 2_000;

/** The rows that one node is to answer, and the nodes that can. */
export interface Question {
  /** Undefined where no node can answer. */
  node: LiveNode | undefined;
  /** The nodes that can answer. */
  candidates: readonly LiveNode[];
  /** The bundle of the first row. */
  bundle: string;
  baseModel: string;
  body: NodeClassifyRequest;
}

/**
 * Asks a node, and one more if the first is lost, silent, in trouble or full. If there is a second, the first has half of the time left.
 * @throws {AppError} `no_capacity` where no node answers; otherwise the node's own refusal of the rows or of the call. If two nodes were
 * asked, a refusal by either counts more than silence
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

/** The client's error for nodes that have not answered. */
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
  return error instanceof AppError && error.code === 'rate_limited' ? 'busy' : { waiting: undefined };
}
