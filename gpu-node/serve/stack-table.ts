import type { ServedAdapter, SlotSizes, Stack } from '../peft/method.ts';
import { type Feeds, tensor } from '../runtime/session.ts';
import { SlotTable } from './slots.ts';
import type { TierCounts } from './tier.ts';

/** Ranks and label counts are rounded up to powers of two, so that few shapes of stack serve all adapters. */
const SMALLEST_SIZE = 8;

/** The sizes of a stack that holds all these adapters. */
export function stackSizes(adapters: Iterable<ServedAdapter>): SlotSizes {
  let rank = SMALLEST_SIZE;
  let labels = SMALLEST_SIZE;
  for (const { sizes } of adapters) {
    while (rank < sizes.rank) rank *= 2;
    while (labels < sizes.labels) labels *= 2;
  }
  return { rank, labels };
}

/** Bytes of one slot over all stacks. */
export function slotBytes(stacks: readonly Stack[], sizes: SlotSizes): number {
  return stacks.reduce((sum, stack) => sum + elementsOf(stack, sizes) * Float32Array.BYTES_PER_ELEMENT, 0);
}

/**
 * Adapters' tensors stacked by slot, as a graph's inputs. Slot 0, the bare base, stays zero. The arrays are read in place
 * by a run: change them between runs only.
 */
export class StackTable {
  readonly sizes: SlotSizes;
  readonly #table: SlotTable;
  readonly #stacks: readonly { stack: Stack; elements: number; data: Float32Array }[];
  /** Inputs of the graph by name, float32 `[slots, ...]`. */
  readonly feeds: Feeds;

  /** `capacity` adapters; hits, misses and evictions are added to `counts`. Pages of slots that were never written take no memory. */
  constructor(stacks: readonly Stack[], sizes: SlotSizes, capacity: number, counts: TierCounts) {
    this.sizes = sizes;
    this.#table = new SlotTable(capacity, counts);
    this.#stacks = stacks.map((stack) => {
      const elements = elementsOf(stack, sizes);
      return { stack, elements, data: new Float32Array((capacity + 1) * elements) };
    });
    this.feeds = Object.fromEntries(
      this.#stacks.map(({ stack, data }) => [
        stack.name,
        tensor('float32', [capacity + 1, ...shapeOf(stack, sizes)], data),
      ]),
    );
  }

  get capacity(): number {
    return this.#table.capacity;
  }

  /** Slots taken. */
  get taken(): number {
    return this.#table.resident.length;
  }

  has(adapter: string): boolean {
    return this.#table.has(adapter);
  }

  /** Gives each adapter a slot, writing those that have none; at most `capacity` at once. */
  place(adapters: ReadonlyMap<string, ServedAdapter>): ReadonlyMap<string, number> {
    const { slots, load } = this.#table.place(adapters.keys());
    for (const { adapter, slot } of load) this.#write(adapters.get(adapter)!, slot);
    return slots;
  }

  drop(adapter: string): void {
    this.#table.drop(adapter);
  }

  #write(adapter: ServedAdapter, slot: number): void {
    for (const { stack, elements, data } of this.#stacks) {
      const part = data.subarray(slot * elements, (slot + 1) * elements);
      part.fill(0);
      adapter.fill(stack, this.sizes, part);
    }
  }
}

function shapeOf({ shape }: Stack, sizes: SlotSizes): number[] {
  return shape.map((dim) => (typeof dim === 'number' ? dim : sizes[dim]));
}

function elementsOf(stack: Stack, sizes: SlotSizes): number {
  return shapeOf(stack, sizes).reduce((product, dim) => product * dim, 1);
}
