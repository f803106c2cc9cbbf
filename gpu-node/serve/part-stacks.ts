import type { PartName, ServedAdapter } from '../parts/index.ts';
import type { PartNumbers, Stack } from '../parts/part.ts';
import { StackTable, slotBytes, stackSize } from './stack-table.ts';

/** Memory that the stacks of one part may take; adapters of high rank get fewer slots. */
const MAX_TABLE_BYTES = 256 * 1024 * 1024;

/** A part of a session, and the tables of its stacks: one for each size that adapters have needed together. */
export class PartStacks {
  readonly name: PartName;
  readonly #stacks: readonly Stack[];
  readonly #slots: number;
  /** By their size, least recently used first. */
  readonly #tables = new Map<number, StackTable>();

  /** @param slots adapters that a run may mix */
  constructor(name: PartName, stacks: readonly Stack[], slots: number) {
    this.name = name;
    this.#stacks = stacks;
    this.#slots = slots;
  }

  /** The adapters that have this part. */
  numbersOf(adapters: ReadonlyMap<string, ServedAdapter>): ReadonlyMap<string, PartNumbers> {
    const numbers = [...adapters].flatMap(([adapter, served]) => {
      const own = served[this.name];
      return own ? [[adapter, own] as const] : [];
    });
    return new Map(numbers);
  }

  /** A table that all of these fit in by their size; whether it has slots for so many, its capacity says. */
  tableFor(numbers: ReadonlyMap<string, PartNumbers>): StackTable {
    const size = stackSize(numbers.values());
    const table = this.#tables.get(size) ?? this.#newTable(size);
    this.#tables.delete(size);
    this.#tables.set(size, table);
    this.#forgetOld(table);
    return table;
  }

  drop(adapter: string): void {
    for (const table of this.#tables.values()) table.drop(adapter);
  }

  /** Whether an adapter lies in a slot. */
  has(adapter: string): boolean {
    return [...this.#tables.values()].some((table) => table.has(adapter));
  }

  /** Slots taken. */
  get taken(): number {
    return [...this.#tables.values()].reduce((sum, { taken }) => sum + taken, 0);
  }

  #newTable(size: number): StackTable {
    const capacity = Math.floor(MAX_TABLE_BYTES / slotBytes(this.#stacks, size)) - 1;
    return new StackTable(this.#stacks, size, Math.max(1, Math.min(this.#slots, capacity)));
  }

  /** Pages of slots that were never written take no memory, so what counts is what is taken. */
  #forgetOld(inUse: StackTable): void {
    const bytes = ({ taken, size }: StackTable) => (taken + 1) * slotBytes(this.#stacks, size);
    let sum = [...this.#tables.values()].reduce((total, table) => total + bytes(table), 0);
    for (const [size, table] of this.#tables) {
      if (sum <= MAX_TABLE_BYTES || table === inUse) return;
      sum -= bytes(table);
      this.#tables.delete(size);
    }
  }
}
