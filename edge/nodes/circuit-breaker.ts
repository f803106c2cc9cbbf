/** Failures in a row that open a breaker. */
const FAILURES = 3;
/** Milliseconds without a request before one may try whether the node is back. */
const OPEN_MS = 5_000;

export type BreakerState = 'closed' | 'open' | 'half-open';

/**
 * Keeps requests off a node that fails: closed until it has failed three times in a row, then open for five seconds, then
 * half-open, where one request at a time tries whether it is back.
 */
export class CircuitBreaker {
  readonly #now: () => number;
  #failures = 0;
  #openUntil = 0;

  /** @param now milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  get state(): BreakerState {
    if (this.#failures < FAILURES) return 'closed';
    return this.#now() < this.#openUntil ? 'open' : 'half-open';
  }

  /** A request is sent. Half-open, it is the probe: the next may follow after as long as a failure's, however it ends. */
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
