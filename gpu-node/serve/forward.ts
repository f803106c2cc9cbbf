import type { Pooling } from '../../shared/peft-config.ts';
import { Graph } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
import { encodeModel } from '../graph/onnx.ts';
import { encoderFeeds, encoderInputs, padToLongest } from '../models/inputs.ts';
import type { BaseModel } from '../models/model.ts';
import { gather, unsqueeze, where } from '../ops/index.ts';
import { classify, headStacks, servedHead } from '../parts/head.ts';
import { type Plan, type ServedAdapter, type StackedName, servingSites, stacksOf } from '../parts/index.ts';
import { type RowsOf, SIZE, type Stack, stackName } from '../parts/part.ts';
import type { Device } from '../runtime/device.ts';
import { type Feeds, floats, Session, tensor } from '../runtime/session.ts';
import { PartStacks } from './part-stacks.ts';
import { BASE_SLOT } from './slots.ts';
import { type StackTable, stackBudgets } from './stack-table.ts';
import { noCounts, type TierCounts } from './tier.ts';

const STACK_BYTES = 256 * 1024 * 1024;

/** A text to classify. */
export interface ForwardRow {
  /** Token ids, special tokens included. */
  readonly ids: Int32Array;
  /** An adapter that was loaded, or null for the bare base, whose logits are all 0. */
  readonly adapter: string | null;
}

export interface ForwardOptions {
  base: BaseModel;
  /** What adapters served here may change. */
  plan: Plan;
  /** Adapters that a run may mix. */
  slots: number;
  /** Memory that the stacks of the session may take, by default 256 MiB; adapters of high rank get fewer slots. */
  stackBytes?: number;
  device: Device;
  threads: number;
}

interface LoadedAdapter {
  readonly served: ServedAdapter;
  readonly pooling: Pooling;
}

/** Where the adapters of one run lie in one part's stacks. */
interface PlacedPart {
  readonly part: PartStacks;
  readonly table: StackTable;
  readonly numbers: ReturnType<PartStacks['numbersOf']>;
}

/**
 * One session for all adapters that its plan covers: their tensors are inputs, stacked by slot and gathered by row, so that a batch of
 * any adapters, methods, ranks and label counts is one run. Each part has slots of its own, so an adapter takes none of a part that it lacks.
 */
export class Forward {
  /** Runs so far. */
  runs = 0;
  /** Adapters that a run found in slots, or not, and those that left one. */
  readonly slotCounts: TierCounts = noCounts();
  readonly #session: Session;
  readonly #parts: readonly PartStacks[];
  readonly #hasCls: boolean;
  readonly #adapters = new Map<string, LoadedAdapter>();

  private constructor(session: Session, parts: readonly PartStacks[], hasCls: boolean) {
    this.#session = session;
    this.#parts = parts;
    this.#hasCls = hasCls;
  }

  static async create({
    base,
    plan,
    slots,
    stackBytes = STACK_BYTES,
    device,
    threads,
  }: ForwardOptions): Promise<Forward> {
    const { graph, stacks } = servingGraph(base, plan);
    const { weightsFolder } = base;
    const session = await Session.create(encodeModel(graph), {
      name: 'serving',
      device,
      threads,
      weightsFolder,
    });
    const budgets = stackBudgets([...stacks.values()], stackBytes);
    const parts = [...stacks].map(
      ([name, each], i) => new PartStacks(name, each, { slots, maxBytes: budgets[i]! }),
    );
    return new Forward(session, parts, base.poolings.includes('cls'));
  }

  /** Keeps an adapter in memory; it gets slots when a run first needs it. Gives the bytes that a run gathers for a row of it, by part. */
  load(adapter: string, served: ServedAdapter, pooling: Pooling): readonly number[] {
    this.#adapters.set(adapter, { served, pooling });
    return this.#parts.map((part) => part.widthOf(served));
  }

  drop(adapter: string): void {
    this.#adapters.delete(adapter);
    for (const part of this.#parts) part.drop(adapter);
  }

  /** Slots taken, over all parts. */
  get slotsTaken(): number {
    return this.#parts.reduce((sum, { taken }) => sum + taken, 0);
  }

  /** What its stacks take. */
  get bytes(): number {
    return this.#parts.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Whether an adapter lies in slots of all its parts. */
  inSlot(adapter: string): boolean {
    const served = this.#adapters.get(adapter)?.served;
    return served !== undefined && this.#parts.every((part) => !served[part.name] || part.has(adapter));
  }

  /**
   * Each row's logits, as many as its adapter has labels. One run, unless the rows mix more adapters than fit.
   * Not to be called again before the promise resolves.
   */
  async run(rows: readonly ForwardRow[]): Promise<Float32Array[]> {
    const adapters = new Map(
      rows.flatMap(({ adapter }) =>
        adapter === null ? [] : [[adapter, this.#loaded(adapter).served] as const],
      ),
    );
    const placed = this.#parts.map((part): PlacedPart => {
      const numbers = part.numbersOf(adapters);
      return { part, numbers, table: part.tableFor(numbers) };
    });
    const fit = placed.every(({ numbers, table }) => numbers.size <= table.capacity);
    if (fit) return this.#runOnce(rows, adapters, placed);
    const half = rows.length >> 1;
    return [...(await this.run(rows.slice(0, half))), ...(await this.run(rows.slice(half)))];
  }

  async release(): Promise<void> {
    await this.#session.release();
  }

  async #runOnce(
    rows: readonly ForwardRow[],
    adapters: ReadonlyMap<string, ServedAdapter>,
    placed: readonly PlacedPart[],
  ): Promise<Float32Array[]> {
    const feeds: Record<string, Feeds[string]> = {
      ...encoderFeeds(padToLongest(rows)),
      ...this.#place(rows, adapters, placed),
    };
    if (this.#hasCls) {
      const isCls = ({ adapter }: ForwardRow) =>
        Number(adapter !== null && this.#loaded(adapter).pooling === 'cls');
      feeds.uses_cls = tensor('bool', [rows.length], Uint8Array.from(rows, isCls));
    }
    this.runs++;
    const logits = floats(await this.#session.run(feeds), 'logits');
    const width = logits.length / rows.length;
    return rows.map(({ adapter }, row) => {
      const labels = adapter === null ? width : adapters.get(adapter)!.head.size;
      return logits.slice(row * width, row * width + labels);
    });
  }

  /** The stacks, and each row's slot in those of every part. */
  #place(
    rows: readonly ForwardRow[],
    adapters: ReadonlyMap<string, ServedAdapter>,
    placed: readonly PlacedPart[],
  ): Feeds {
    const feeds: Record<string, Feeds[string]> = {};
    const [loaded, evicted] = [new Set<string>(), new Set<string>()];
    for (const { part, table, numbers } of placed) {
      const placement = table.place(numbers);
      for (const { adapter } of placement.load) loaded.add(adapter);
      for (const adapter of placement.evicted) evicted.add(adapter);
      const slotOf = ({ adapter }: ForwardRow) =>
        adapter === null ? BASE_SLOT : (placement.slots.get(adapter) ?? BASE_SLOT);
      Object.assign(feeds, table.feeds);
      feeds[slotsInput(part.name)] = tensor('int32', [rows.length], Int32Array.from(rows, slotOf));
    }
    this.slotCounts.misses += loaded.size;
    this.slotCounts.hits += adapters.size - loaded.size;
    this.slotCounts.evictions += evicted.size;
    return feeds;
  }

  #loaded(adapter: string): LoadedAdapter {
    const loaded = this.#adapters.get(adapter);
    if (!loaded) throw new Error(`adapter ${adapter} is not loaded`);
    return loaded;
  }
}

const slotsInput = (part: StackedName) => `slots.${part}`;

/**
 * The graph: inputs of `encoderInputs`, for each part `slots.<part>` int32 `[batch]` and its stacks, `uses_cls` bool `[batch]` where the
 * base has a pooler; output `logits` `[batch, labels]`.
 */
export function servingGraph(
  base: BaseModel,
  plan: Plan,
): { graph: Graph; stacks: ReadonlyMap<StackedName, readonly Stack[]> } {
  const { architecture, weights } = base;
  const hasCls = base.poolings.includes('cls');
  const graph = new Graph('serve');
  const inputs = encoderInputs(graph, 'batch-first');
  const stacks = new Map<StackedName, readonly Stack[]>([
    ...stacksOf(plan, architecture),
    ['head', headStacks(architecture.head)],
  ]);
  const rowsOf = rowsOfStacks(graph, stacks);
  const sites = servingSites(plan, rowsOf, architecture);
  const hidden = architecture.encode(weights, inputs, sites);
  const pool = (pooling: Pooling) => architecture.pool(pooling, hidden, weights, inputs, sites);
  const pooled = hasCls
    ? where(unsqueeze(graph.input('uses_cls', 'bool', ['batch']), [1]), pool('cls'), pool('mean'))
    : pool('mean');
  graph.output('logits', classify(architecture.head, pooled, servedHead(rowsOf)).logits);
  return { graph, stacks };
}

/** Declares the stacks and slots of all parts; gives what each row finds by its slot in the stack of a place's tensor. */
function rowsOfStacks(graph: Graph, stacks: ReadonlyMap<StackedName, readonly Stack[]>): RowsOf {
  const inputs = new Map<string, { stacked: Value; slots: Value }>();
  for (const [part, each] of stacks) {
    const slots = graph.input(slotsInput(part), 'int32', ['batch']);
    for (const { name, shape } of each) {
      const dims = shape.map((dim) => (dim === SIZE ? `${part}_size` : dim));
      inputs.set(name, { slots, stacked: graph.input(name, 'float32', [`${part}_slots`, ...dims]) });
    }
  }
  return (place, tensorOf) => {
    const { stacked, slots } = inputs.get(stackName(place, tensorOf))!;
    return gather(stacked, slots);
  };
}
