import { elementCount } from '../graph/shapes.ts';
import { type PartNumbers, SIZE, type Stack } from '../parts/part.ts';
import { type Feeds, tensor } from '../runtime/session.ts';
import { type Placement, SlotTable } from './slots.ts';

/** Smallest size of stacks. Ranks and label counts are rounded up to powers of two, so that few shapes of stack serve all adapters. */
const SMALLEST_SIZE = 8;

/** The size of stacks that hold all these adapters; 0 without adapters, so that a part that no row needs costs next to nothing. */
export function stackSize(adapters: Iterable<PartNumbers>): number {
  let size = 0;
  for (const adapter of adapters) {
    size ||= SMALLEST_SIZE;
    while (size < adapter.size) size *= 2;
  }
  return size;
}

/** Bytes of one slot over all stacks. */
export function slotBytes(stacks: readonly Stack[], size: number): number {
  return stacks.reduce((sum, stack) => sum + elementsOf(stack, size) * Float32Array.BYTES_PER_ELEMENT, 0);
}

/** Divides bytes among the parts' stacks: half in proportion to a small adapter's size there, and half equally, for large adapters. */
export function stackBudgets(parts: readonly (readonly Stack[])[], bytes: number): number[] {
  const needs = parts.map((stacks) => slotBytes(stacks, SMALLEST_SIZE));
  const all = needs.reduce((sum, need) => sum + need, 0);
  return needs.map((need) => (bytes / 2) * (need / all + 1 / parts.length));
}

/**
 * Adapters' tensors of one part stacked by slot, as a graph's inputs. Slot 0, the bare base, stays zero. A run reads the arrays in place:
 * change them between runs only.
 */
export class StackTable {
  readonly size: number;
  readonly #table: SlotTable;
  readonly #slotBytes: number;
  /** Number of slots that were ever written, including the bare base's. */
  #written = 1;
  readonly #stacks: readonly { stack: Stack; elements: number; data: Float32Array }[];
  /** Inputs of the graph by name, float32 `[slots, ...]`. */
  readonly feeds: Feeds;

  /** `capacity` is the number of adapters. Pages of slots that were never written take no memory. */
  constructor(stacks: readonly Stack[], size: number, capacity: number) {
    this.size = size;
    this.#slotBytes = slotBytes(stacks, size);
    this.#table = new SlotTable(capacity);
    this.#stacks = stacks.map((stack) => {
      const elements = elementsOf(stack, size);
      return { stack, elements, data: new Float32Array((capacity + 1) * elements) };
    });
    this.feeds = Object.fromEntries(
      this.#stacks.map(({ stack, data }) => [
        stack.name,
        tensor('float32', [capacity + 1, ...shapeOf(stack, size)], data),
      ]),
    );
  }

  get capacity(): number {
    return this.#table.capacity;
  }

  /** Number of taken slots. */
  get taken(): number {
    return this.#table.resident.length;
  }

  /** Bytes of the written slots; pages of other slots take no memory. */
  get bytes(): number {
    return this.#written * this.#slotBytes;
  }

  has(adapter: string): boolean {
    return this.#table.has(adapter);
  }

  /** Gives each adapter a slot, and writes those that had none; at most `capacity` at once. */
  place(adapters: ReadonlyMap<string, PartNumbers>): Placement {
    const placement = this.#table.place(adapters.keys());
    for (const { adapter, slot } of placement.load) this.#write(adapters.get(adapter)!, slot);
    return placement;
  }

  drop(adapter: string): void {
    this.#table.drop(adapter);
  }

  #write(adapter: PartNumbers, slot: number): void {
    this.#written = Math.max(this.#written, slot + 1);
    for (const { stack, elements, data } of this.#stacks) {
      const part = data.subarray(slot * elements, (slot + 1) * elements);
      part.fill(0);
      adapter.fill(stack, this.size, part);
    }
  }
}

function shapeOf({ shape }: Stack, size: number): number[] {
  return shape.map((dim) => (dim === SIZE ? size : dim));
}

function elementsOf(stack: Stack, size: number): number {
  return elementCount(shapeOf(stack, size));
}
