import { problemBody } from '../shared/api/common.ts';
import {
  type NodeClassifyRequest,
  type NodeClassifyResponse,
  nodeClassifyResponse,
} from '../shared/api/nodes.ts';
import { AppError, type ErrorCode } from '../shared/errors.ts';

import { type LiveNode, pickNode, type Wanted } from './pick-node.ts';

/** Covers a cold adapter, which the node first fetches through this very edge. */
const CLASSIFY_TIMEOUT_MS = 30_000;
const EVICT_TIMEOUT_MS = 2_000;
const RETRY_AFTER_SECONDS = 2;
/** What a node may say to the client; anything else of its own is the platform's fault. */
const PASSED_ON: readonly string[] = ['adapter_not_found', 'rate_limited'] satisfies ErrorCode[];

/** The only caller of nodes. */
export class NodeClient {
  readonly #secret: string;

  constructor(secret: string) {
    this.#secret = secret;
  }

  /**
   * Classifies rows on the node that rendezvous hashing on `bundle` picks, and, where that node is lost or in trouble, once
   * on the next.
   * @param candidates nodes that can answer all of the rows.
   * @throws {AppError} `no_capacity` without a node that answers, `rate_limited` where its queue is full.
   */
  async classify(
    candidates: readonly LiveNode[],
    { bundle, baseModel }: Pick<Wanted, 'bundle' | 'baseModel'>,
    body: NodeClassifyRequest,
  ): Promise<NodeClassifyResponse> {
    const first = pickNode(candidates, bundle);
    if (!first) throw noNode(baseModel);
    try {
      return await this.#classifyOn(first, body);
    } catch (error) {
      const others = candidates.filter((node) => node !== first);
      const second = pickNode(others, bundle);
      if (!(error instanceof NodeTrouble)) throw error;
      if (!second) throw noNode(baseModel, error);
      return await this.#classifyOn(second, body).catch((cause) => {
        throw cause instanceof NodeTrouble ? noNode(baseModel, cause) : cause;
      });
    }
  }

  /** Tells every node at once to drop these bundles; one that does not hear it learns it by its next heartbeat. */
  async evict(nodes: readonly LiveNode[], bundles: string[]): Promise<void> {
    if (bundles.length === 0) return;
    const calls = nodes.map(async (node) => {
      const response = await this.#post(node, '/internal/evict', { bundles }, EVICT_TIMEOUT_MS);
      await response.body?.cancel();
    });
    await Promise.allSettled(calls);
  }

  async #classifyOn(node: LiveNode, body: NodeClassifyRequest): Promise<NodeClassifyResponse> {
    const response = await this.#post(node, '/internal/classify', body, CLASSIFY_TIMEOUT_MS);
    const answer = await response.json().catch(() => undefined);
    if (!response.ok) throw refusal(node, response, answer);
    const parsed = nodeClassifyResponse.safeParse(answer);
    if (parsed.success && parsed.data.rows.length === body.rows.length) return parsed.data;
    throw new NodeTrouble(`node ${node.id} answered in another shape than agreed`);
  }

  async #post(node: LiveNode, path: string, body: unknown, timeout: number): Promise<Response> {
    try {
      return await fetch(new URL(path, node.url), {
        method: 'POST',
        headers: { authorization: `Bearer ${this.#secret}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
        redirect: 'manual',
        signal: AbortSignal.timeout(timeout),
      });
    } catch (cause) {
      throw new NodeTrouble(`node ${node.id} does not answer`, { cause });
    }
  }
}

/** A node that is lost or broken: another may do better. */
class NodeTrouble extends Error {
  override name = 'NodeTrouble';
}

function refusal(node: LiveNode, response: Response, answer: unknown): Error {
  const told = problemBody.safeParse(answer).data?.error;
  if (told && PASSED_ON.includes(told.code)) {
    const retryAfter = Number(response.headers.get('retry-after')) || 1;
    const message = told.message;
    if (told.code === 'rate_limited') return new AppError('rate_limited', message, { retryAfter });
    return new AppError(told.code as ErrorCode, message, { ...(told.param && { param: told.param }) });
  }
  // A node may have been started again with other base models than were known of it.
  if (response.status >= 500 || told?.code === 'model_not_found') {
    return new NodeTrouble(`node ${node.id} answered ${response.status}`);
  }
  return new AppError('upstream_failed', 'The node refused the texts.', {
    cause: new Error(`node ${node.id} answered ${response.status}: ${told?.message ?? ''}`),
  });
}

function noNode(baseModel: string, cause?: Error): AppError {
  return new AppError('no_capacity', `No node alive serves the base model ${baseModel}; try again shortly.`, {
    retryAfter: RETRY_AFTER_SECONDS,
    cause,
  });
}
