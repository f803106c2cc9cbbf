/** Counts of a tier's requests and evictions. */
export interface TierCounts {
  hits: number;
  misses: number;
  evictions: number;
}

export const noCounts = (): TierCounts => ({ hits: 0, misses: 0, evictions: 0 });

export interface TierOptions {
  /** Most that it holds, in the unit of sizes: bytes, or slots. */
  capacity: number;
  /** Fixed cost of any load besides its size, in the same unit; 0 makes the time of the last use decide alone. */
  overhead?: number;
  /** Counts to share with other tables. */
  counts?: TierCounts;
}

interface Entry {
  readonly size: number;
  /** The tier's loss if the adapter leaves. */
  worth: number;
}

/**
 * Decides which adapters one tier of memory holds. It is pure policy: the adapter worth least gives way. Worth is recency of use, weighed
 * by the cost of loading again for the room taken (GreedyDual-Size: Cao & Irani 1997). A load costs a fixed overhead and its size, so of
 * two adapters used alike the small one stays. A held adapter never leaves.
 */
export class Tier {
  readonly counts: TierCounts;
  readonly #capacity: number;
  readonly #overhead: number;
  /** Adapters, least recently used first. */
  readonly #entries = new Map<string, Entry>();
  #used = 0;
  /** Worth of the last evicted adapter. Everything used since starts from it, so that unused adapters grow old. */
  #age = 0;

  constructor({ capacity, overhead = 0, counts = noCounts() }: TierOptions) {
    this.#capacity = capacity;
    this.#overhead = overhead;
    this.counts = counts;
  }

  /** Number of adapters. */
  get count(): number {
    return this.#entries.size;
  }

  /** Sum of the adapters' sizes; it exceeds the capacity only by their growth. */
  get used(): number {
    return this.#used;
  }

  /** Keys of the adapters, least recently used first. */
  get keys(): string[] {
    return [...this.#entries.keys()];
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** Asks for an adapter; returns whether it is here. A repeated request for the same use is not counted. */
  use(key: string, counted = true): boolean {
    const entry = this.#entries.get(key);
    if (counted) this.counts[entry ? 'hits' : 'misses']++;
    if (entry) this.#renew(key, entry);
    return entry !== undefined;
  }

  /**
   * Adds an adapter and returns the adapters that leave for it. Undefined, and nothing changes, if it does not fit beside the held ones.
   */
  add(key: string, size: number, isHeld: (key: string) => boolean = () => false): string[] | undefined {
    const leaving = this.makeRoom(this.#used + size - this.#capacity, isHeld);
    if (!leaving) return undefined;
    this.#used += size;
    this.#renew(key, { size, worth: 0 });
    return leaving;
  }

  /** Evicts adapters of at least this total size and returns them. Undefined, and nothing changes, if the others are held. */
  makeRoom(room: number, isHeld: (key: string) => boolean = () => false): string[] | undefined {
    const leaving = this.#toFree(room, isHeld);
    for (const each of leaving ?? []) {
      this.#age = Math.max(this.#age, this.#entries.get(each)!.worth);
      this.delete(each);
      this.counts.evictions++;
    }
    return leaving;
  }

  /** Notes an adapter's new size. The caller must make room for any excess over the capacity. */
  resize(key: string, size: number): void {
    const { size: before, worth } = this.#entries.get(key)!;
    this.#used += size - before;
    this.#entries.set(key, { size, worth });
  }

  /** Removes a deleted adapter. */
  delete(key: string): boolean {
    this.#used -= this.#entries.get(key)?.size ?? 0;
    return this.#entries.delete(key);
  }

  #renew(key: string, entry: Entry): void {
    entry.worth = this.#age + (this.#overhead + entry.size) / entry.size;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
  }

  /** The adapters worth least that make so much room. */
  #toFree(room: number, isHeld: (key: string) => boolean): string[] | undefined {
    if (room <= 0) return [];
    const leaving: string[] = [];
    const free = [...this.#entries].filter(([key]) => !isHeld(key));
    let freed = 0;
    for (const [key, { size }] of free.sort(([, a], [, b]) => a.worth - b.worth)) {
      leaving.push(key);
      freed += size;
      if (freed >= room) return leaving;
    }
    return undefined;
  }
}
