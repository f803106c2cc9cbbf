import type { ServedAdapter, StackedName } from '../parts/index.ts';
import type { PartNumbers, Stack } from '../parts/part.ts';
import { StackTable, slotBytes, stackSize } from './stack-table.ts';

export interface PartLimits {
  /** Most adapters in one run. */
  slots: number;
  /** Most bytes of the stacks; adapters of high rank get fewer slots. */
  maxBytes: number;
}

/** A part of a session with the tables of its stacks: one table for each size that adapters have needed together. */
export class PartStacks {
  readonly name: StackedName;
  readonly #stacks: readonly Stack[];
  readonly #limits: PartLimits;
  /** Tables by their size, least recently used first. */
  readonly #tables = new Map<number, StackTable>();

  constructor(name: StackedName, stacks: readonly Stack[], limits: PartLimits) {
    this.name = name;
    this.#stacks = stacks;
    this.#limits = limits;
  }

  /** The numbers of the adapters that have this part. */
  numbersOf(adapters: ReadonlyMap<string, ServedAdapter>): ReadonlyMap<string, PartNumbers> {
    const numbers = [...adapters].flatMap(([adapter, served]) => {
      const own = served[this.name];
      return own ? [[adapter, own] as const] : [];
    });
    return new Map(numbers);
  }

  /** A table whose size fits all of these; its capacity says whether it has slots for so many. */
  tableFor(numbers: ReadonlyMap<string, PartNumbers>): StackTable {
    const size = stackSize(numbers.values());
    const table = this.#tables.get(size) ?? this.#newTable(size);
    this.#tables.delete(size);
    this.#tables.set(size, table);
    this.#forgetOld(table);
    return table;
  }

  /** Bytes that a run gathers for a row of this adapter, if no other adapter is larger. */
  widthOf(served: ServedAdapter): number {
    const own = served[this.name];
    return slotBytes(this.#stacks, stackSize(own ? [own] : []));
  }

  drop(adapter: string): void {
    for (const table of this.#tables.values()) table.drop(adapter);
  }

  /** True if an adapter is in a slot. */
  has(adapter: string): boolean {
    return [...this.#tables.values()].some((table) => table.has(adapter));
  }

  /** Bytes of its tables. */
  get bytes(): number {
    return [...this.#tables.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Number of taken slots. */
  get taken(): number {
    return [...this.#tables.values()].reduce((sum, { taken }) => sum + taken, 0);
  }

  #newTable(size: number): StackTable {
    if (size === 0) return new StackTable(this.#stacks, size, 1);
    const { slots, maxBytes } = this.#limits;
    const capacity = Math.floor(maxBytes / slotBytes(this.#stacks, size)) - 1;
    return new StackTable(this.#stacks, size, Math.max(1, Math.min(slots, capacity)));
  }

  #forgetOld(inUse: StackTable): void {
    for (const [size, table] of this.#tables) {
      if (this.bytes <= this.#limits.maxBytes || table === inUse) return;
      this.#tables.delete(size);
    }
  }
}
