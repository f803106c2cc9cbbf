import { problemBody } from '../../shared/api/common.ts';
import {
  adapterTierResponse,
  type NameChange,
  type NodeClassifyRequest,
  type NodeClassifyResponse,
  nodeClassifyResponse,
  REQUEST_ID_HEADER,
} from '../../shared/api/nodes.ts';
import { AppError, ERROR_STATUS, type ErrorCode } from '../../shared/errors.ts';
import type { LiveNode } from '../base-models.ts';

/**
 * Milliseconds until a node must begin to send an archive: it may have to fetch the adapter, and to write the base model's weights in fp32.
 */
const EXPORT_TIMEOUT_MS = 120_000;
const TELL_TIMEOUT_MS = 2_000;
/** Milliseconds for a node to report an adapter's tier: a client waits for it, so a slower node is left out. */
const TIER_TIMEOUT_MS = 500;
/**
 * The client's error code for a node's refusal, by the node's code: the caller can mend it, or it passes. The node's words go with it. Any
 * other code is a fault of the edge's or the node's own.
 */
const TOLD_AS: ReadonlyMap<string, ErrorCode> = new Map<ErrorCode, ErrorCode>([
  ['adapter_not_found', 'adapter_not_found'],
  ['adapter_stale', 'adapter_stale'],
  ['invalid_adapter', 'invalid_adapter'],
  ['not_mergeable', 'not_mergeable'],
  ['deadline_too_short', 'deadline_too_short'],
  // The node was restarted with other base models than the edge knows.
  ['model_not_found', 'model_not_found'],
  ['rate_limited', 'rate_limited'],
  ['no_capacity', 'no_capacity'],
  // The node could not fetch an adapter's files.
  ['upstream_failed', 'no_capacity'],
]);
/** The codes among them after which another node may answer. */
const ELSEWHERE: readonly ErrorCode[] = ['model_not_found', 'rate_limited', 'no_capacity'];
const DEFAULT_RETRY_SECONDS = 1;

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
   * @throws {AppError} the node's refusal of the rows or of the call, in its words and with its `param`; `upstream_failed` where it does
   * not understand the edge's call
   * @throws {NodeTrouble} where the node fails
   */
  async classify(
    node: LiveNode,
    body: NodeClassifyRequest,
    timeoutMs: number,
  ): Promise<NodeClassifyResponse> {
    const response = await this.#call(node, { path: '/internal/classify', body, timeoutMs });
    const answer = await answerOf(node, response, timeoutMs);
    if (!response.ok) throw refusal(node, response, answer);
    const parsed = nodeClassifyResponse.safeParse(answer);
    if (parsed.success && parsed.data.rows.length === body.rows.length) return parsed.data;
    throw new NodeTrouble(`node ${node.id} answered in another shape than agreed`);
  }

  /**
   * Streams the node's archive of an adapter merged into its base model. Cancelling the body ends the node's work.
   * @throws as `classify`
   */
  async export(node: LiveNode, bundle: string): Promise<Response> {
    const begins = new AbortController();
    const timer = setTimeout(() => begins.abort(new DOMException('', 'TimeoutError')), EXPORT_TIMEOUT_MS);
    try {
      const call = { path: '/internal/export', body: { bundle }, timeoutMs: EXPORT_TIMEOUT_MS };
      const response = await this.#call(node, call, begins.signal);
      if (response.ok) return response;
      throw refusal(node, response, await answerOf(node, response, EXPORT_TIMEOUT_MS));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Tells a node of changes whose older resolutions it must refuse; returns whether the node has acknowledged them. */
  tellChanges(node: LiveNode, changes: NameChange[]): Promise<boolean> {
    return this.#tell(node, '/internal/changes', { changes });
  }

  /** Tells a node to drop bundles. A node that this call does not reach learns of it from its next heartbeat. */
  evict(node: LiveNode, bundles: string[]): Promise<boolean> {
    return this.#tell(node, '/internal/evict', { bundles });
  }

  /** Tells a node to load bundles before anybody asks for them. */
  warm(node: LiveNode, bundles: string[]): Promise<boolean> {
    return this.#tell(node, '/internal/warm', { bundles });
  }

  /** The fastest tier in which a node has a bundle; null where it lacks the bundle or does not answer in time. */
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

  async #call(
    node: LiveNode,
    { path, body, timeoutMs }: Call,
    signal = AbortSignal.timeout(timeoutMs),
  ): Promise<Response> {
    try {
      return await fetch(new URL(path, node.url), {
        headers: {
          authorization: `Bearer ${this.#secret}`,
          'content-type': 'application/json',
          [REQUEST_ID_HEADER]: this.#requestId,
        },
        ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
        redirect: 'manual',
        signal,
      });
    } catch (cause) {
      throw unanswered(node, timeoutMs, cause);
    }
  }
}

/** A node that is lost, broken or silent. */
export class NodeTrouble extends Error {
  override name = 'NodeTrouble';
}

/** A node that did not answer in time. */
export class NodeSilent extends NodeTrouble {
  override name = 'NodeSilent';
}

/** True if another node may answer what one has not. */
export function mayDoBetterElsewhere(error: unknown): boolean {
  return error instanceof NodeTrouble || (error instanceof AppError && ELSEWHERE.includes(error.code));
}

/** The trouble of a node that has not answered, or not to the end. */
function unanswered({ id }: LiveNode, timeoutMs: number, cause: unknown): NodeTrouble {
  const silent = cause instanceof Error && cause.name === 'TimeoutError';
  if (silent) return new NodeSilent(`node ${id} has not answered in ${timeoutMs} ms`, { cause });
  return new NodeTrouble(`node ${id} does not answer`, { cause });
}

/** The JSON body of an answer, or undefined. The status alone decides nothing yet: time may run out before the body has come. */
async function answerOf(node: LiveNode, response: Response, timeoutMs: number): Promise<unknown> {
  const text = await response.text().catch((cause: unknown) => {
    throw unanswered(node, timeoutMs, cause);
  });
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function refusal(node: LiveNode, response: Response, answer: unknown): Error {
  const told = problemBody.safeParse(answer).data?.error;
  const code = told && TOLD_AS.get(told.code);
  if (code) {
    const passes = ERROR_STATUS[code] === 429 || ERROR_STATUS[code] === 503;
    const retryAfter = Number(response.headers.get('retry-after')) || DEFAULT_RETRY_SECONDS;
    return new AppError(code, told.message, {
      ...(told.param && { param: told.param }),
      ...(passes && { retryAfter }),
    });
  }
  if (response.status >= 500) return new NodeTrouble(`node ${node.id} answered ${response.status}`);
  return new AppError('upstream_failed', 'The node refused the call.', {
    cause: new Error(`node ${node.id} answered ${response.status}: ${told?.message ?? ''}`),
  });
}
