import { Tier } from './tier.ts';

/** Where a batch's adapters go. */
export interface Placement {
  /** A slot for each adapter asked for. */
  slots: ReadonlyMap<string, number>;
  /** Slots whose weights must be written before the run. */
  load: readonly { adapter: string; slot: number }[];
  /** Adapters that lost their slots to them. */
  evicted: readonly string[];
}

/** Slot 0 is the bare base model: its weights stay zero. */
export const BASE_SLOT = 0;

/**
 * Which adapter lies in which slot of the stacked weights. Pure: it decides, somebody else copies. Any slot costs the same
 * to write, so the least recently used goes first, but never one of the batch being placed.
 */
export class SlotTable {
  readonly capacity: number;
  readonly #tier: Tier;
  readonly #slots = new Map<string, number>();
  readonly #free: number[];

  /** `capacity` adapters, besides the base. */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.#tier = new Tier({ capacity });
    this.#free = Array.from({ length: capacity }, (_, i) => capacity - i);
  }

  /** Adapters in a slot, least recently used first. */
  get resident(): string[] {
    return this.#tier.keys;
  }

  has(adapter: string): boolean {
    return this.#tier.has(adapter);
  }

  /** @throws {RangeError} for more distinct adapters than there are slots. */
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

  /** Frees an adapter's slot; its weights may stay there, as no row will point at them. */
  drop(adapter: string): void {
    if (this.#tier.delete(adapter)) this.#release(adapter);
  }

  #release(adapter: string): void {
    this.#free.push(this.#slots.get(adapter)!);
    this.#slots.delete(adapter);
  }
}
