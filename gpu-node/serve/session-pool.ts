import { AppError } from '../../shared/errors.ts';
import type { BasePrecision } from '../../shared/peft-config.ts';
import type { BaseModelSource } from '../models/open-base-model.ts';
import { WorkerThread } from '../runtime/worker-thread.ts';
import { Batcher, type QueuedRow } from './batcher.ts';
import type { AdapterToLoad, ForwardHandlers, ForwardWorkerData, SlotReport } from './forward-worker.ts';
import { groupKey, type SessionGroup } from './session-group.ts';

/** Groups at once, of whatever base models, precisions, kinds and layers. */
const MAX_GROUPS = 8;
const ENTRY = new URL('./forward-worker.ts', import.meta.url);

export interface RowResult {
  logits: Float32Array;
  /** Milliseconds spent waiting, and in the run itself. */
  queue: number;
  run: number;
}

/** What a run was, for the metrics. */
export interface RunReport {
  rows: number;
  tokens: number;
  /** Tokens with their padding. */
  padded: number;
  /** Of the padded tokens that it might have had. */
  fill: number;
  /** Distinct ones. */
  adapters: number;
  runs: number;
  slots: SlotReport;
  milliseconds: number;
}

export interface SessionPoolOptions {
  /** Base models by id. */
  bases: ReadonlyMap<string, BaseModelSource>;
  worker: Pick<ForwardWorkerData, 'memory' | 'slots' | 'device' | 'threads'>;
  /** Sessions of each group. */
  lanes: number;
  /** Padded tokens of one run. */
  runTokens(precision: BasePrecision): number;
  /** Whether a group has adapters that somebody waits for. */
  inUse(group: string): boolean;
  /** A group's session is gone, and with it the adapters it held. */
  onGone(group: string): void;
  onRun(report: RunReport): void;
  onFailure(error: Error): void;
}

/** A text to run. */
export interface TextToRun {
  /** Who asks. */
  tenant: string;
  /** The adapter's handle. */
  handle: string;
  ids: Int32Array;
}

interface Row extends QueuedRow {
  readonly ids: Int32Array;
  readonly since: number;
  resolve(result: RowResult): void;
  reject(error: Error): void;
}

/** A session, in a worker thread of its own, that runs one batch after the other. */
interface Lane {
  readonly worker: WorkerThread<ForwardHandlers>;
  running: boolean;
  slotsTaken: number;
}

interface Group {
  readonly key: string;
  readonly batcher: Batcher<Row>;
  /** Each holds all of the group's adapters, and takes what is next as soon as it can. All are there when it is ready. */
  readonly lanes: Lane[];
  readonly ready: Promise<void>;
  /** Whether rows have come that no lane has been offered. */
  scheduled: boolean;
}

/** Sessions for each group of adapters in use. Those of a new one are built while the others go on. */
export class SessionPool {
  readonly #options: SessionPoolOptions;
  /** Least recently used first. */
  readonly #groups = new Map<string, Group>();

  constructor(options: SessionPoolOptions) {
    this.#options = options;
  }

  /** Of each lane. */
  get sessions(): number {
    return this.#groups.size;
  }

  /** Slots taken, over all sessions. */
  get slotsTaken(): number {
    const lanes = [...this.#groups.values()].flatMap((group) => group.lanes);
    return lanes.reduce((sum, { slotsTaken }) => sum + slotsTaken, 0);
  }

  /**
   * Makes sure that the group has sessions, and gives its key.
   * @throws {AppError} `no_capacity` where every session is in use and no other may be built
   */
  async open(wanted: SessionGroup): Promise<string> {
    const key = groupKey(wanted);
    const group = this.#groups.get(key) ?? this.#build(key, wanted);
    this.#groups.delete(key);
    this.#groups.set(key, group);
    await group.ready;
    return key;
  }

  /** Loads an adapter into a group's lanes, which read its weights until it is dropped. */
  async load(key: string, adapter: AdapterToLoad): Promise<void> {
    await Promise.all(this.#group(key).lanes.map(({ worker }) => worker.call('load', adapter)));
  }

  drop(key: string, handle: string): void {
    for (const { worker } of this.#groups.get(key)?.lanes ?? []) worker.call('drop', handle).catch(() => {});
  }

  /** Whether an adapter lies in a slot of one of its group's sessions. */
  async inSlot(key: string, handle: string): Promise<boolean> {
    const { lanes } = this.#group(key);
    return (await Promise.all(lanes.map(({ worker }) => worker.call('inSlot', handle)))).includes(true);
  }

  /**
   * Queues a text; it shares a run with whatever else waits for the same sessions. Where the signal is aborted before its
   * run it is dropped without an answer.
   */
  submit(key: string, { tenant, handle, ids }: TextToRun, signal: AbortSignal): Promise<RowResult> {
    const group = this.#group(key);
    return new Promise((resolve, reject) => {
      group.batcher.add({
        tenant,
        adapter: handle,
        cost: ids.length,
        ids,
        since: performance.now(),
        abandoned: () => signal.aborted,
        resolve,
        reject,
      });
      this.#schedule(group);
    });
  }

  async stop(): Promise<void> {
    const groups = [...this.#groups.values()];
    this.#groups.clear();
    await Promise.all(groups.map(stopLanes));
  }

  #group(key: string): Group {
    const group = this.#groups.get(key);
    if (!group) throw closed();
    return group;
  }

  #build(key: string, sort: SessionGroup): Group {
    this.#makeRoom();
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    const { worker, runTokens } = this.#options;
    const batcher = new Batcher<Row>({ tokens: runTokens(sort.precision), adapters: worker.slots });
    const group: Group = { key, batcher, lanes: [], ready, scheduled: false };
    this.#groups.set(key, group);
    this.#startLanes(group, sort).then(resolve, (error) => {
      reject(error);
      this.#remove(group, error);
    });
    return group;
  }

  /** One, then the others: where nobody has yet, the first writes the base model's weights in the precision that is wanted. */
  async #startLanes(group: Group, { base, ...sort }: SessionGroup): Promise<void> {
    const { bases, worker: common, lanes, onFailure } = this.#options;
    const data: ForwardWorkerData = { ...common, ...sort, base: bases.get(base)! };
    const start = async () => {
      if (this.#groups.get(group.key) !== group) throw closed();
      const worker = new WorkerThread<ForwardHandlers>(ENTRY, data, (error) => {
        onFailure(error);
        this.#remove(group, error);
      });
      group.lanes.push({ worker, running: false, slotsTaken: 0 });
      await worker.call('ready', null);
    };
    await start();
    await Promise.all(Array.from({ length: lanes - 1 }, start));
  }

  #makeRoom(): void {
    if (this.#groups.size < MAX_GROUPS) return;
    for (const group of this.#groups.values()) {
      if (this.#options.inUse(group.key)) continue;
      this.#remove(group, closed());
      return;
    }
    const message = `adapters of ${MAX_GROUPS} sorts (base model, precision, LoRA or DoRA, target layers) are in use, which is all that a node serves at once`;
    throw new AppError('no_capacity', message, { retryAfter: 1 });
  }

  #remove(group: Group, error: Error): void {
    if (this.#groups.get(group.key) !== group) return;
    this.#groups.delete(group.key);
    void stopLanes(group);
    const { batcher } = group;
    for (let rows = batcher.take(); rows.length > 0; rows = batcher.take()) {
      for (const row of rows) row.reject(error);
    }
    this.#options.onGone(group.key);
  }

  /** After this turn of the event loop, so that rows that arrive together run together. */
  #schedule(group: Group): void {
    if (group.scheduled) return;
    group.scheduled = true;
    setImmediate(() => {
      group.scheduled = false;
      this.#fill(group);
    });
  }

  /** Gives each lane that is idle a part of what waits. */
  #fill(group: Group): void {
    const idle = group.lanes.filter(({ running }) => !running);
    for (const [i, lane] of idle.entries()) {
      const rows = group.batcher.take(idle.length - i);
      if (rows.length === 0) return;
      void this.#run(group, lane, rows);
    }
  }

  async #run(group: Group, lane: Lane, rows: readonly Row[]): Promise<void> {
    lane.running = true;
    const start = performance.now();
    try {
      const batch = rows.map(({ ids, adapter }) => ({ ids, adapter }));
      const { logits, milliseconds, runs, slots } = await lane.worker.call('run', batch);
      lane.slotsTaken = slots.taken;
      const shape = measure(rows);
      const fill = shape.padded / group.batcher.limits.tokens;
      this.#options.onRun({ ...shape, fill, runs, slots, milliseconds });
      rows.forEach((row, i) => {
        row.resolve({ logits: logits[i]!, queue: start - row.since, run: milliseconds });
      });
    } catch (error) {
      for (const row of rows) row.reject(error as Error);
    }
    lane.running = false;
    this.#fill(group);
  }
}

function closed(): AppError {
  return new AppError('no_capacity', 'the sessions of this adapter were closed', { retryAfter: 1 });
}

function stopLanes({ lanes }: Group): Promise<unknown> {
  return Promise.all(lanes.map(({ worker }) => worker.stop()));
}

function measure(rows: readonly Row[]): Pick<RunReport, 'rows' | 'tokens' | 'padded' | 'adapters'> {
  const lengths = rows.map(({ ids }) => ids.length);
  return {
    rows: rows.length,
    tokens: lengths.reduce((sum, length) => sum + length, 0),
    padded: rows.length * Math.max(...lengths),
    adapters: new Set(rows.map(({ adapter }) => adapter)).size,
  };
}
