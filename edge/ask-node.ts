import type { NodeClassifyRequest, NodeClassifyResponse } from '../shared/api/nodes.ts';
import { AppError } from '../shared/errors.ts';
import { type NodeClient, NodeTrouble } from './node-client.ts';
import type { NodeTraffic } from './node-traffic.ts';
import { type LiveNode, pickNode } from './pick-node.ts';

const RETRY_AFTER_SECONDS = 2;

/** When a request's client stops to wait. */
export class Deadline {
  readonly #until: number;
  readonly #now: () => number;

  /** @param now milliseconds */
  constructor(timeoutMs: number, now: () => number = Date.now) {
    this.#now = now;
    this.#until = now() + timeoutMs;
  }

  /** Milliseconds that are left. */
  get left(): number {
    return this.#until - this.#now();
  }
}

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
 * @throws {AppError} `no_capacity` without a node that answers in time, `rate_limited` where two are full, and what the node says of the rows
 */
export async function askNode(
  client: NodeClient,
  traffic: NodeTraffic,
  { node, candidates, bundle, baseModel, body }: Question,
  deadline: Deadline,
): Promise<NodeClassifyResponse> {
  if (!node) throw noNode(baseModel);
  const others = candidates.filter((other) => other !== node);
  const second = pickNode(available(others, traffic), bundle, ({ id }) => traffic.load(id));
  try {
    return await attempt(client, traffic, node, body, second ? deadline.left / 2 : deadline.left);
  } catch (error) {
    if (!mayDoBetterElsewhere(error)) throw error;
    if (!second) throw error instanceof NodeTrouble ? noNode(baseModel, error) : error;
    return await attempt(client, traffic, second, body, deadline.left).catch((cause) => {
      throw cause instanceof NodeTrouble ? noNode(baseModel, cause) : cause;
    });
  }
}

/** Those whose breaker is not open, or all where every one is. */
export function available(nodes: readonly LiveNode[], traffic: NodeTraffic): readonly LiveNode[] {
  const fit = nodes.filter(({ id }) => !traffic.isOpen(id));
  return fit.length > 0 ? fit : nodes;
}

async function attempt(
  client: NodeClient,
  traffic: NodeTraffic,
  node: LiveNode,
  body: NodeClassifyRequest,
  leftMs: number,
): Promise<NodeClassifyResponse> {
  const timeoutMs = Math.floor(leftMs);
  if (timeoutMs < 1) throw new NodeTrouble('there is no time left to ask a node');
  const end = traffic.begin(node.id, body.rows.length, timeoutMs);
  try {
    const answer = await client.classify(node, { ...body, deadline_ms: timeoutMs }, timeoutMs);
    end({ waiting: answer.waiting });
    return answer;
  } catch (error) {
    const full = error instanceof AppError && error.code === 'rate_limited';
    end(error instanceof NodeTrouble ? 'trouble' : full ? 'full' : { waiting: undefined });
    throw error;
  }
}

function mayDoBetterElsewhere(error: unknown): boolean {
  return error instanceof NodeTrouble || (error instanceof AppError && error.code === 'rate_limited');
}

/** Nobody can answer now; the client may try again. */
export function noNode(baseModel: string, cause?: Error): AppError {
  const message = `No node alive serves the base model ${baseModel}, or none answered in time; try again shortly.`;
  return new AppError('no_capacity', message, { retryAfter: RETRY_AFTER_SECONDS, cause });
}
