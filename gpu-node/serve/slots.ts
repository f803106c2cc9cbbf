import { Tier } from './tier.ts';

/** Slots for a batch's adapters. */
export interface Placement {
  /** Slot of each adapter asked for. */
  slots: ReadonlyMap<string, number>;
  /** Slots whose weights must be written before the run. */
  load: readonly { adapter: string; slot: number }[];
  /** Adapters that lost their slots to them. */
  evicted: readonly string[];
}

/** Slot 0 is the bare base model: its weights stay zero. */
export const BASE_SLOT = 0;

/**
 * Decides which adapter is in which slot of the stacked weights; copying is the caller's part. Any slot costs the same to write, so the
 * least recently used one is replaced first, but never one of the batch being placed.
 */
export class SlotTable {
  readonly capacity: number;
  readonly #tier: Tier;
  readonly #slots = new Map<string, number>();
  readonly #free: number[];

  /** `capacity` is the number of adapters, besides the base. */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.#tier = new Tier({ capacity });
    this.#free = Array.from({ length: capacity }, (_, i) => capacity - i);
  }

  /** Adapters with a slot, least recently used first. */
  get resident(): string[] {
    return this.#tier.keys;
  }

  has(adapter: string): boolean {
    return this.#tier.has(adapter);
  }

  /** Gives each adapter a slot. @throws {RangeError} for more distinct adapters than there are slots. */
  place(adapters: Iterable<string>): Placement {
    const wanted = new Set(adapters);
    if (wanted.size > this.capacity) {
      throw new RangeError(`a batch mixes ${wanted.size} adapters, the node has ${this.capacity} slots`);
    }
    const missing = [...wanted].filter((adapter) => !this.#tier.use(adapter));
    const evicted: string[] = [];
    const load = missing.map((adapter) => {
      const leaving = this.#tier.add(adapter, 1, (key) => wanted.has(key))!;
      for (const each of leaving) this.#release(each);
      evicted.push(...leaving);
      const slot = this.#free.pop()!;
      this.#slots.set(adapter, slot);
      return { adapter, slot };
    });
    const slots = new Map([...wanted].map((adapter) => [adapter, this.#slots.get(adapter)!]));
    return { slots, load, evicted };
  }

  /** Frees an adapter's slot. Its weights may stay there, because no row will point at them. */
  drop(adapter: string): void {
    if (this.#tier.delete(adapter)) this.#release(adapter);
  }

  #release(adapter: string): void {
    this.#free.push(this.#slots.get(adapter)!);
    this.#slots.delete(adapter);
  }
}
