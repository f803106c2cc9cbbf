import type { AdapterKind } from '../../shared/adapter-description.ts';
import type { Pooling } from '../../shared/peft-config.ts';
import { Graph } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
import { encodeModel } from '../graph/onnx.ts';
import { encoderFeeds, encoderInputs, type TokenBatch } from '../models/inputs.ts';
import type { BaseModel, LinearLayer } from '../models/model.ts';
import { unsqueeze, where } from '../ops/index.ts';
import { classifierStacks, classifyBySlot } from '../peft/classifier.ts';
import { SERVING_METHODS } from '../peft/index.ts';
import type { ServedAdapter, SlotSizes, Stack } from '../peft/method.ts';
import type { Device } from '../runtime/device.ts';
import { type Feeds, floats, Session, tensor } from '../runtime/session.ts';
import { BASE_SLOT } from './slots.ts';
import { StackTable, slotBytes, stackSizes } from './stack-table.ts';
import { noCounts, type TierCounts } from './tier.ts';

/** Memory that the stacks of one session may take; adapters of high rank get fewer slots. */
const MAX_TABLE_BYTES = 256 * 1024 * 1024;
/** Stacks of different sizes kept at once. */
const MAX_TABLES = 2;

/** A text to classify. */
export interface ForwardRow {
  /** Token ids, special tokens included. */
  readonly ids: Int32Array;
  /** An adapter that was loaded, or null for the bare base, whose logits are all 0. */
  readonly adapter: string | null;
}

export interface ForwardOptions {
  base: BaseModel;
  kind: AdapterKind;
  /** The layers that adapters served here may change. */
  layers: readonly LinearLayer[];
  /** Adapters that a run may mix. */
  slots: number;
  device: Device;
  threads: number;
}

interface LoadedAdapter {
  readonly served: ServedAdapter;
  readonly pooling: Pooling;
}

/**
 * One session for all adapters that change the same layers: their tensors are inputs, stacked by slot and gathered by
 * row, so that a batch of any adapters, ranks and label counts is one run.
 */
export class Forward {
  /** Runs so far. */
  runs = 0;
  /** Of slots, over all tables. */
  readonly slotCounts: TierCounts = noCounts();
  readonly #session: Session;
  readonly #stacks: readonly Stack[];
  readonly #slots: number;
  readonly #hasCls: boolean;
  readonly #adapters = new Map<string, LoadedAdapter>();
  /** By their sizes, least recently used first. */
  readonly #tables = new Map<string, StackTable>();

  private constructor(session: Session, stacks: readonly Stack[], slots: number, hasCls: boolean) {
    this.#session = session;
    this.#stacks = stacks;
    this.#slots = slots;
    this.#hasCls = hasCls;
  }

  static async create(options: ForwardOptions): Promise<Forward> {
    const { base, slots, device, threads } = options;
    const { graph, stacks } = servingGraph(options);
    const { weightsFolder } = base;
    const session = await Session.create(encodeModel(graph), {
      name: 'serving',
      device,
      threads,
      weightsFolder,
    });
    return new Forward(session, stacks, slots, base.poolings.includes('cls'));
  }

  /** Keeps an adapter in memory; it gets a slot when a run first needs it. */
  load(adapter: string, served: ServedAdapter, pooling: Pooling): void {
    this.#adapters.set(adapter, { served, pooling });
  }

  drop(adapter: string): void {
    this.#adapters.delete(adapter);
    for (const table of this.#tables.values()) table.drop(adapter);
  }

  /** Slots taken. */
  get slotsTaken(): number {
    return [...this.#tables.values()].reduce((sum, { taken }) => sum + taken, 0);
  }

  /** Whether an adapter lies in a slot. */
  inSlot(adapter: string): boolean {
    return [...this.#tables.values()].some((table) => table.has(adapter));
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
    const table = this.#tableFor(stackSizes(adapters.values()));
    if (adapters.size <= table.capacity) return this.#runOnce(rows, adapters, table);
    const half = rows.length >> 1;
    return [...(await this.run(rows.slice(0, half))), ...(await this.run(rows.slice(half)))];
  }

  async release(): Promise<void> {
    await this.#session.release();
  }

  async #runOnce(
    rows: readonly ForwardRow[],
    adapters: ReadonlyMap<string, ServedAdapter>,
    table: StackTable,
  ): Promise<Float32Array[]> {
    const slots = table.place(adapters);
    const slotOf = ({ adapter }: ForwardRow) => (adapter === null ? BASE_SLOT : slots.get(adapter)!);
    const feeds: Record<string, Feeds[string]> = { ...encoderFeeds(padRows(rows)), ...table.feeds };
    feeds.slots = tensor('int32', [rows.length], Int32Array.from(rows, slotOf));
    if (this.#hasCls) {
      const isCls = ({ adapter }: ForwardRow) =>
        Number(adapter !== null && this.#loaded(adapter).pooling === 'cls');
      feeds.uses_cls = tensor('bool', [rows.length], Uint8Array.from(rows, isCls));
    }
    this.runs++;
    const logits = floats(await this.#session.run(feeds), 'logits');
    const width = table.sizes.labels;
    return rows.map(({ adapter }, row) => {
      const labels = adapter === null ? width : adapters.get(adapter)!.sizes.labels;
      return logits.slice(row * width, row * width + labels);
    });
  }

  #loaded(adapter: string): LoadedAdapter {
    const loaded = this.#adapters.get(adapter);
    if (!loaded) throw new Error(`adapter ${adapter} is not loaded`);
    return loaded;
  }

  #tableFor(sizes: SlotSizes): StackTable {
    const key = `${sizes.rank} ${sizes.labels}`;
    const capacity = Math.floor(MAX_TABLE_BYTES / slotBytes(this.#stacks, sizes)) - 1;
    const table =
      this.#tables.get(key) ??
      new StackTable(this.#stacks, sizes, Math.max(1, Math.min(this.#slots, capacity)), this.slotCounts);
    this.#tables.delete(key);
    this.#tables.set(key, table);
    const [oldest] = this.#tables.keys();
    if (this.#tables.size > MAX_TABLES) this.#tables.delete(oldest!);
    return table;
  }
}

/**
 * The graph: inputs of `encoderInputs`, `slots` int32 `[batch]`, `uses_cls` bool `[batch]` where the base has a pooler,
 * and the stacks; output `logits` `[batch, labels]`.
 */
export function servingGraph({ base, kind, layers }: Pick<ForwardOptions, 'base' | 'kind' | 'layers'>): {
  graph: Graph;
  stacks: Stack[];
} {
  const { architecture, weights } = base;
  const serving = SERVING_METHODS[kind];
  const graph = new Graph('serve');
  const inputs = encoderInputs(graph, 'batch-first');
  const slots = graph.input('slots', 'int32', ['batch']);
  const stacks = [...serving.stacks(layers), ...classifierStacks(architecture.head)];
  const values: Record<string, Value> = {};
  for (const { name, shape } of stacks) values[name] = graph.input(name, 'float32', ['slots', ...shape]);
  const linear = serving.inject(layers, values, slots);
  const hidden = architecture.encode(weights, inputs, linear);
  const pool = (pooling: Pooling) => architecture.pool(pooling, hidden, weights, inputs, linear);
  const pooled = base.poolings.includes('cls')
    ? where(unsqueeze(graph.input('uses_cls', 'bool', ['batch']), [1]), pool('cls'), pool('mean'))
    : pool('mean');
  graph.output('logits', classifyBySlot(architecture.head, pooled, values, slots));
  return { graph, stacks };
}

/** Rows as one batch, padded on the right to the longest. */
export function padRows(rows: readonly ForwardRow[]): TokenBatch {
  const length = Math.max(...rows.map(({ ids }) => ids.length));
  const inputIds = new Int32Array(rows.length * length);
  const attentionMask = new Float32Array(rows.length * length);
  for (const [row, { ids }] of rows.entries()) {
    inputIds.set(ids, row * length);
    attentionMask.fill(1, row * length, row * length + ids.length);
  }
  return { rows: rows.length, length, inputIds, attentionMask };
}
