import type { NameChange, NodeClassifyRequest, ServingState } from '../../shared/api/nodes.ts';
import { AppError } from '../../shared/errors.ts';

/** Names remembered; beyond them the one longest unchanged is covered by the floor, which refuses more than it must. */
const MAX_NAMES = 10_000;

/**
 * What the node knows of the tenants' names, and until when it may rely on knowing enough: it answers only what was
 * resolved after the last change of the name, and nothing at all without a lease.
 */
export class ServingLease {
  readonly #now: () => number;
  #until = Number.NEGATIVE_INFINITY;
  /** All that was resolved before this change is refused, whatever its name. */
  #floor = 0;
  /** The last change of each name, the longest unchanged first. */
  readonly #changed = new Map<string, number>();
  #head: number | null = null;

  /** @param now milliseconds of a clock that nobody sets: the wall's may be an hour off */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The time, for `renew`. */
  now(): number {
    return this.#now();
  }

  /** The cursor of the next heartbeat. */
  get head(): number | null {
    return this.#head;
  }

  /** Takes the edge's answer to a call that was sent at `sentAt`, from when on its lease counts. */
  renew(sentAt: number, { lease_seconds, head, changes }: ServingState): void {
    if (changes) this.learn(changes);
    else this.#floor = Math.max(this.#floor, head);
    this.#head = head;
    this.#until = Math.max(this.#until, sentAt + lease_seconds * 1000);
  }

  /** Nothing is answered any more, unless a lease comes again. */
  end(): void {
    this.#until = Number.NEGATIVE_INFINITY;
  }

  /** From now on what was resolved before these changes is refused. */
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
   * Whether a classification may be answered.
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
