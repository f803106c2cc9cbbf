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
