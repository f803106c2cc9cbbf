import type { NameChange, NodeClassifyRequest, ServingState } from '../../shared/api/nodes.ts';
import { AppError } from '../../shared/errors.ts';

/** Most remembered names. Beyond it the one longest unchanged falls to the floor, which refuses more than it must. */
const MAX_NAMES = 10_000;

/**
 * Knows the changes of tenants' names, and until when that knowledge is sufficient. The node answers only resolutions from after a name's
 * last change, and nothing without a lease.
 */
export class ServingLease {
  readonly #now: () => number;
  #until = Number.NEGATIVE_INFINITY;
  /** Resolutions of any name from before this change are refused. */
  #floor = 0;
  /** The last change of each name, the longest unchanged first. */
  readonly #changed = new Map<string, number>();
  #head: number | null = null;

  /** @param now milliseconds of a monotonic clock, because the wall clock may be an hour off */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The current time, for `renew`. */
  now(): number {
    return this.#now();
  }

  /** The cursor of the next heartbeat. */
  get head(): number | null {
    return this.#head;
  }

  /** Takes the edge's answer to a call sent at `sentAt`, from which the lease counts. */
  renew(sentAt: number, { lease_seconds, head, changes }: ServingState): void {
    if (changes) this.learn(changes);
    else this.#floor = Math.max(this.#floor, head);
    this.#head = head;
    this.#until = Math.max(this.#until, sentAt + lease_seconds * 1000);
  }

  /** Ends the lease: nothing is answered until a new one comes. */
  end(): void {
    this.#until = Number.NEGATIVE_INFINITY;
  }

  /** Refuses from now on resolutions from before these changes. */
  learn(changes: readonly NameChange[]): void {
    for (const { tenant, name, seq } of changes) {
      const key = keyOf(tenant, name);
      const known = this.#changed.get(key) ?? 0;
      this.#changed.delete(key);
      this.#changed.set(key, Math.max(known, seq));
    }
    for (const [key, seq] of this.#changed) {
      if (this.#changed.size <= MAX_NAMES) break;
      this.#changed.delete(key);
      this.#floor = Math.max(this.#floor, seq);
    }
  }

  /**
   * Admits a classification.
   * @throws {AppError} `no_capacity` without a lease, `adapter_stale` for a name that resolves anew, in `param`
   */
  admit({ tenant = '', names = [] }: Pick<NodeClassifyRequest, 'tenant' | 'names'>): void {
    if (this.#now() >= this.#until) {
      throw new AppError(
        'no_capacity',
        'the node has no serving lease: the edge has not answered it lately',
        {
          retryAfter: 1,
        },
      );
    }
    for (const [i, { name, as_of }] of names.entries()) {
      const changed = Math.max(this.#floor, this.#changed.get(keyOf(tenant, name)) ?? 0);
      if (as_of >= changed) continue;
      const message = `${name} resolves anew since change ${changed}, and was resolved as of ${as_of}`;
      throw new AppError('adapter_stale', message, { param: `names.${i}` });
    }
  }
}

const keyOf = (tenant: string, name: string) => `${tenant} ${name}`;
