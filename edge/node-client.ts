import { problemBody } from '../shared/api/common.ts';
import {
  adapterTierResponse,
  type NameChange,
  type NodeClassifyRequest,
  type NodeClassifyResponse,
  nodeClassifyResponse,
  REQUEST_ID_HEADER,
} from '../shared/api/nodes.ts';
import { AppError, type ErrorCode } from '../shared/errors.ts';
import type { LiveNode } from './pick-node.ts';

const TELL_TIMEOUT_MS = 2_000;
/** A client waits for it: a node that is slower is left out. */
const TIER_TIMEOUT_MS = 500;
/** What a node may say to its caller; anything else of its own is the platform's fault. */
const PASSED_ON: readonly string[] = [
  'adapter_not_found',
  'adapter_stale',
  'rate_limited',
] satisfies ErrorCode[];

interface Call {
  path: string;
  /** JSON; a call without it is a GET. */
  body?: unknown;
  timeoutMs: number;
}

/** The only caller of nodes; `requestId` goes with every call. */
export class NodeClient {
  readonly #secret: string;
  readonly #requestId: string;

  constructor(secret: string, requestId: string) {
    this.#secret = secret;
    this.#requestId = requestId;
  }

  /**
   * Classifies rows on a node.
   * @throws {AppError} what the node says of the rows: `adapter_stale`, `adapter_not_found`, `rate_limited`, `upstream_failed`
   * @throws {NodeTrouble} where another node may do better
   */
  async classify(
    node: LiveNode,
    body: NodeClassifyRequest,
    timeoutMs: number,
  ): Promise<NodeClassifyResponse> {
    const response = await this.#call(node, { path: '/internal/classify', body, timeoutMs });
    const answer = await response.json().catch(() => undefined);
    if (!response.ok) throw refusal(node, response, answer);
    const parsed = nodeClassifyResponse.safeParse(answer);
    if (parsed.success && parsed.data.rows.length === body.rows.length) return parsed.data;
    throw new NodeTrouble(`node ${node.id} answered in another shape than agreed`);
  }

  /** Tells a node what to refuse; returns whether it has acknowledged it. */
  tellChanges(node: LiveNode, changes: NameChange[]): Promise<boolean> {
    return this.#tell(node, '/internal/changes', { changes });
  }

  /** Tells a node to drop bundles; one that does not hear it learns it by its next heartbeat. */
  evict(node: LiveNode, bundles: string[]): Promise<boolean> {
    return this.#tell(node, '/internal/evict', { bundles });
  }

  /** Tells a node to load bundles before anybody asks for them. */
  warm(node: LiveNode, bundles: string[]): Promise<boolean> {
    return this.#tell(node, '/internal/warm', { bundles });
  }

  /** Where a node has a bundle; null where it does not have it, or does not say so in time. */
  async tierOf(node: LiveNode, bundle: string) {
    try {
      const path = `/internal/adapters/${bundle}`;
      const response = await this.#call(node, { path, timeoutMs: TIER_TIMEOUT_MS });
      return adapterTierResponse.parse(await response.json()).tier;
    } catch {
      return null;
    }
  }

  async #tell(node: LiveNode, path: string, body: unknown): Promise<boolean> {
    try {
      const response = await this.#call(node, { path, body, timeoutMs: TELL_TIMEOUT_MS });
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false;
    }
  }

  async #call(node: LiveNode, { path, body, timeoutMs }: Call): Promise<Response> {
    try {
      return await fetch(new URL(path, node.url), {
        headers: {
          authorization: `Bearer ${this.#secret}`,
          'content-type': 'application/json',
          [REQUEST_ID_HEADER]: this.#requestId,
        },
        ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutMs),
      });
    } catch (cause) {
      throw new NodeTrouble(`node ${node.id} does not answer`, { cause });
    }
  }
}

/** A node that is lost, broken, silent or without a serving lease: another may do better. */
export class NodeTrouble extends Error {
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
