import { ExpiringCache } from '../expiring-cache.ts';
import { CircuitBreaker } from './circuit-breaker.ts';

/** Milliseconds for which what a node has said of its queue counts. */
const REPORT_MS = 1_000;
/** Nodes remembered; beyond them the one longest unheard of is forgotten. */
const MAX_NODES = 10_000;
/** A node not heard of for this long is met without prejudice. */
const BREAKER_MS = 60_000;

/** How a request to a node went: answered, with the texts that wait there; full; in trouble; or in a way that tells nothing of the node. */
export type Outcome = { waiting: number | undefined } | 'full' | 'trouble' | 'unknown';

interface Request {
  rows: number;
  until: number;
}

/** What an isolate knows of the nodes from its own requests: how many rows each has to answer, and which of them fail. */
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

  /** Rows that the node has to answer: those of this isolate, or what it has just said where others send it more. */
  load(node: string): number {
    return Math.max(this.#inFlight(node), this.#reports.get(node) ?? 0);
  }

  /** Whether the node is to be left alone for now. */
  isOpen(node: string): boolean {
    return this.#breakers.get(node)?.state === 'open';
  }

  /** Those whose breaker is not open, or all where every one is. */
  available<Node extends { readonly id: string }>(nodes: readonly Node[]): readonly Node[] {
    const fit = nodes.filter(({ id }) => !this.isOpen(id));
    return fit.length > 0 ? fit : nodes;
  }

  /**
   * Counts a request in; the function given takes its outcome and counts it out. One whose client leaves is never
   * counted out, because its invocation just stops: it counts for `timeoutMs` and no longer.
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
    if (outcome !== 'full' && outcome.waiting !== undefined) this.#reports.set(node, outcome.waiting);
  }

  #prune(node: string): void {
    const requests = this.#requests.get(node);
    for (const request of requests ?? []) if (request.until <= this.#now()) requests!.delete(request);
    if (requests?.size === 0) this.#requests.delete(node);
  }
}
