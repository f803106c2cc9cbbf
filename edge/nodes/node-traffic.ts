import { ExpiringCache } from '../expiring-cache.ts';
import { CircuitBreaker } from './circuit-breaker.ts';

/** Milliseconds for which a node's report of its queue counts. */
const REPORT_MS = 1_000;
/** Most nodes remembered; beyond it the one longest unheard of is forgotten. */
const MAX_NODES = 10_000;
/** Milliseconds without news after which a node's past failures no longer count. */
const BREAKER_MS = 60_000;

/**
 * The end of a request to a node: answered, with the number of texts that wait there; refused as busy; failed; or nothing that tells of the
 * node.
 */
export type Outcome = { waiting: number | undefined } | 'busy' | 'trouble' | 'unknown';

interface Request {
  rows: number;
  until: number;
}

/** An isolate's knowledge of nodes from its own requests: how many rows each has to answer, and which of them fail. */
export class NodeTraffic {
  readonly #now: () => number;
  readonly #requests = new Map<string, Set<Request>>();
  readonly #reports: ExpiringCache<number>;
  readonly #breakers: ExpiringCache<CircuitBreaker>;

  constructor(now: () => number = Date.now) {
    this.#now = now;
    this.#reports = new ExpiringCache({ ttlMs: REPORT_MS, max: MAX_NODES, now });
    this.#breakers = new ExpiringCache({ ttlMs: BREAKER_MS, max: MAX_NODES, now });
  }

  /** Rows that the node has to answer: this isolate's own, or the node's latest report where others send it more. */
  load(node: string): number {
    return Math.max(this.#inFlight(node), this.#reports.get(node) ?? 0);
  }

  /** True if the node gets no requests for now. */
  isOpen(node: string): boolean {
    return this.#breakers.get(node)?.state === 'open';
  }

  /** The nodes whose breaker is not open, or all nodes if every breaker is. */
  available<Node extends { readonly id: string }>(nodes: readonly Node[]): readonly Node[] {
    const fit = nodes.filter(({ id }) => !this.isOpen(id));
    return fit.length > 0 ? fit : nodes;
  }

  /**
   * Counts a request in; calling the returned function with the outcome counts it out. If the client leaves, its invocation just stops and
   * nothing counts it out, so a request counts for at most `timeoutMs`.
   */
  begin(node: string, rows: number, timeoutMs: number): (outcome: Outcome) => void {
    this.#breakers.get(node)?.begin();
    const request = { rows, until: this.#now() + timeoutMs };
    const requests = this.#requests.get(node) ?? new Set();
    this.#requests.set(node, requests.add(request));
    return (outcome) => {
      requests.delete(request);
      this.#note(node, outcome);
    };
  }

  clear(): void {
    this.#requests.clear();
    this.#reports.clear();
    this.#breakers.clear();
  }

  #inFlight(node: string): number {
    let rows = 0;
    const requests = this.#requests.get(node) ?? [];
    for (const request of requests) if (request.until > this.#now()) rows += request.rows;
    return rows;
  }

  #note(node: string, outcome: Outcome): void {
    this.#prune(node);
    if (outcome === 'unknown') return;
    if (outcome === 'trouble') {
      const breaker = this.#breakers.get(node) ?? new CircuitBreaker(this.#now);
      breaker.fail();
      this.#breakers.set(node, breaker);
      return;
    }
    this.#breakers.get(node)?.succeed();
    if (outcome !== 'busy' && outcome.waiting !== undefined) this.#reports.set(node, outcome.waiting);
  }

  #prune(node: string): void {
    const requests = this.#requests.get(node);
    for (const request of requests ?? []) if (request.until <= this.#now()) requests!.delete(request);
    if (requests?.size === 0) this.#requests.delete(node);
  }
}
