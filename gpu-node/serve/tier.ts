/** What a tier was asked for, and what it gave up to make room. */
export interface TierCounts {
  hits: number;
  misses: number;
  evictions: number;
}

export const noCounts = (): TierCounts => ({ hits: 0, misses: 0, evictions: 0 });

export interface TierOptions {
  /** What it holds at most, in the unit of sizes: bytes, or slots. */
  capacity: number;
  /** What loading anything costs besides its size, in the same unit; 0 where all that counts is when it was used. */
  overhead?: number;
  /** Where several tables count together. */
  counts?: TierCounts;
}

interface Entry {
  readonly size: number;
  /** What the tier would lose with it. */
  worth: number;
}

/**
 * Which adapters one tier of memory holds. Pure policy: what is worth least gives way, which is the least recently used,
 * weighed by what loading it again costs for the room it takes (GreedyDual-Size: Cao & Irani 1997). A load costs a fixed
 * overhead and its size, so of two adapters used alike the small one stays. What is held never leaves.
 */
export class Tier {
  readonly counts: TierCounts;
  readonly #capacity: number;
  readonly #overhead: number;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  #used = 0;
  /** The worth of what was evicted last, at which everything used since begins: so the unused grow old. */
  #age = 0;

  constructor({ capacity, overhead = 0, counts = noCounts() }: TierOptions) {
    this.#capacity = capacity;
    this.#overhead = overhead;
    this.counts = counts;
  }

  /** Adapters. */
  get count(): number {
    return this.#entries.size;
  }

  /** The sum of their sizes, more than the capacity only by what they grew. */
  get used(): number {
    return this.#used;
  }

  /** Least recently used first. */
  get keys(): string[] {
    return [...this.#entries.keys()];
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** Asks for an adapter: whether it is here. What asks again for the same use is not counted. */
  use(key: string, counted = true): boolean {
    const entry = this.#entries.get(key);
    if (counted) this.counts[entry ? 'hits' : 'misses']++;
    if (entry) this.#renew(key, entry);
    return entry !== undefined;
  }

  /**
   * Takes an adapter in that is not here, and gives those that leave for it; undefined, and nothing changes, where it does
   * not fit beside what is held.
   */
  add(key: string, size: number, isHeld: (key: string) => boolean = () => false): string[] | undefined {
    const leaving = this.makeRoom(this.#used + size - this.#capacity, isHeld);
    if (!leaving) return undefined;
    this.#used += size;
    this.#renew(key, { size, worth: 0 });
    return leaving;
  }

  /** Gives up adapters that take so much together, and says which; undefined, and nothing changes, where the others are held. */
  makeRoom(room: number, isHeld: (key: string) => boolean = () => false): string[] | undefined {
    const leaving = this.#toFree(room, isHeld);
    for (const each of leaving ?? []) {
      this.#age = Math.max(this.#age, this.#entries.get(each)!.worth);
      this.delete(each);
      this.counts.evictions++;
    }
    return leaving;
  }

  /** Notes that an adapter here takes more than it did, or less; what it takes beyond the capacity is the caller's to make room for. */
  resize(key: string, size: number): void {
    const { size: before, worth } = this.#entries.get(key)!;
    this.#used += size - before;
    this.#entries.set(key, { size, worth });
  }

  /** Lets an adapter go that somebody deleted. */
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
