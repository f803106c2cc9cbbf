/** Consecutive failures that open a breaker. */
const FAILURES = 3;
/** Milliseconds without a request before one may test whether the node is back. */
const OPEN_MS = 5_000;

export type BreakerState = 'closed' | 'open' | 'half-open';

/**
 * Keeps requests off a failing node. It is closed until three failures in a row, then open for five seconds, then half-open: one request at
 * a time tests whether the node is back.
 */
export class CircuitBreaker {
  readonly #now: () => number;
  #failures = 0;
  #openUntil = 0;

  /** @param now the current time in milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  get state(): BreakerState {
    if (this.#failures < FAILURES) return 'closed';
    return this.#now() < this.#openUntil ? 'open' : 'half-open';
  }

  /** Notes that a request is sent. Half-open, that request is the probe; however it ends, the next may follow after `OPEN_MS`. */
  begin(): void {
    if (this.state === 'half-open') this.#openUntil = this.#now() + OPEN_MS;
  }

  succeed(): void {
    this.#failures = 0;
  }

  fail(): void {
    this.#failures++;
    if (this.#failures >= FAILURES) this.#openUntil = this.#now() + OPEN_MS;
  }
}
