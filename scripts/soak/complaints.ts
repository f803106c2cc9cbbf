/**
 * Milliseconds for which requests may miss a node that was killed, drained or paused: a lease, a paused node's silence, and half of a
 * client's time.
 */
const EXCUSED_MS = 35_000;
/** Most requests that one such moment may cost a tenant. */
const EXCUSED_REQUESTS = 20;

/** The kind of a complaint; complaints that differ only in names and numbers are of one kind. */
const kindOf = (reason: string) => reason.replaceAll(/[0-9a-f-]*\d[0-9a-f-]*/g, '…').slice(0, 200);

/** The reasons why a soak has failed: the first of each kind, and how often it occurred. */
export class Complaints {
  readonly #kinds = new Map<string, { reason: string; count: number }>();
  readonly #now: () => number;
  #disturbedAt = Number.NEGATIVE_INFINITY;
  #excuses = 0;
  /** Number of requests that failed while a node was missing. */
  excused = 0;

  /** `now` gives milliseconds. */
  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  add(reason: string): void {
    const known = this.#kinds.get(kindOf(reason));
    if (known) known.count++;
    else {
      console.log(`COMPLAINT: ${reason}`);
      this.#kinds.set(kindOf(reason), { reason, count: 1 });
    }
  }

  /** Notes that a node is killed, drained or paused now. */
  disturbed(): void {
    this.#disturbedAt = this.#now();
    this.#excuses = EXCUSED_REQUESTS;
  }

  /** Notes a failed request of the quiet tenant. It is a complaint unless a node is missing, and then too beyond a limit. */
  failedRequest(problem: string): void {
    const isExcused = this.#now() - this.#disturbedAt < EXCUSED_MS && this.#excuses-- > 0;
    if (isExcused) this.excused++;
    else this.add(`the quiet tenant got ${problem}`);
  }

  get list(): string[] {
    return [...this.#kinds.values()].map(({ reason, count }) => `${reason} (${count} times)`);
  }
}
