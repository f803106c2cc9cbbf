/** Where a batch's adapters go. */
export interface Placement {
  /** A slot for each adapter asked for. */
  slots: ReadonlyMap<string, number>;
  /** Slots whose weights must be written before the run. */
  load: readonly { adapter: string; slot: number }[];
}

/** Slot 0 is the bare base model: its weights stay zero. */
export const BASE_SLOT = 0;

/**
 * Which adapter lies in which slot of the stacked weights. Pure: it decides, somebody else copies. The adapters of the
 * batch being placed are never evicted for one another; the least recently used of the rest goes first.
 */
export class SlotTable {
  readonly capacity: number;
  /** Least recently used first. */
  readonly #slots = new Map<string, number>();
  readonly #free: number[];

  /** `capacity` adapters, besides the base. */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.#free = Array.from({ length: capacity }, (_, i) => capacity - i);
  }

  /** Adapters in a slot, least recently used first. */
  get resident(): string[] {
    return [...this.#slots.keys()];
  }

  /** @throws {RangeError} for more distinct adapters than there are slots. */
  place(adapters: Iterable<string>): Placement {
    const wanted = new Set(adapters);
    if (wanted.size > this.capacity) {
      throw new RangeError(`a batch mixes ${wanted.size} adapters, the node has ${this.capacity} slots`);
    }
    const load: { adapter: string; slot: number }[] = [];
    const missing = [...wanted].filter((adapter) => !this.#touch(adapter));
    for (const adapter of missing) {
      const slot = this.#free.pop() ?? this.#evictOldest(wanted);
      this.#slots.set(adapter, slot);
      load.push({ adapter, slot });
    }
    return { slots: new Map([...wanted].map((adapter) => [adapter, this.#slots.get(adapter)!])), load };
  }

  /** Frees an adapter's slot; its weights may stay there, as no row will point at them. */
  drop(adapter: string): void {
    const slot = this.#slots.get(adapter);
    if (slot === undefined) return;
    this.#slots.delete(adapter);
    this.#free.push(slot);
  }

  #touch(adapter: string): boolean {
    const slot = this.#slots.get(adapter);
    if (slot === undefined) return false;
    this.#slots.delete(adapter);
    this.#slots.set(adapter, slot);
    return true;
  }

  #evictOldest(keep: ReadonlySet<string>): number {
    for (const [adapter, slot] of this.#slots) {
      if (keep.has(adapter)) continue;
      this.#slots.delete(adapter);
      return slot;
    }
    throw new RangeError('no slot is free');
  }
}
