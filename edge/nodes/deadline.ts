/** The time at which a request's client stops waiting. */
export class Deadline {
  readonly #until: number;
  readonly #now: () => number;

  /** @param now the current time in milliseconds */
  constructor(timeoutMs: number, now: () => number = Date.now) {
    this.#now = now;
    this.#until = now() + timeoutMs;
  }

  /** Milliseconds left. */
  get left(): number {
    return this.#until - this.#now();
  }
}
