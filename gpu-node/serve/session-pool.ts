import { AppError } from '../../shared/errors.ts';
import type { BasePrecision } from '../../shared/peft-config.ts';
import type { BaseModelSource } from '../models/open-base-model.ts';
import { WorkerThread } from '../runtime/worker-thread.ts';
import { Batcher, type QueuedRow } from './batcher.ts';
import type { AdapterToLoad, ForwardHandlers, ForwardWorkerData, SlotReport } from './forward-worker.ts';
import { groupKey, type SessionGroup } from './session-group.ts';
import { type Hold, SessionRoom } from './session-room.ts';

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
  worker: Pick<ForwardWorkerData, 'memory' | 'slots' | 'stackBytes' | 'device' | 'threads'>;
  /** Sessions of each group. */
  lanes: number;
  /** Padded tokens of one run. */
  runTokens(precision: BasePrecision): number;
  /** Bytes that all sessions may take together, and those of a lane without its stacks. */
  maxBytes: number;
  laneBytes(sort: SessionGroup): number;
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
  stackBytes: number;
}

interface Group {
  readonly key: string;
  readonly sort: SessionGroup;
  readonly batcher: Batcher<Row>;
  /** Each holds all of the group's adapters, and takes what is next as soon as it can. All are there when it is ready. */
  readonly lanes: Lane[];
  readonly ready: Promise<void>;
  /** Whether rows have come that no lane has been offered. */
  scheduled: boolean;
}

/** There is no room for sessions of this sort beside those in use; `wait` for it. */
export class SessionsInUse extends AppError {
  readonly sort: SessionGroup;

  constructor(sort: SessionGroup) {
    const message = 'the sessions of other adapters, which are in use, take all of the memory for them';
    super('no_capacity', message, { retryAfter: 1 });
    this.sort = sort;
  }
}

/** Sessions for each group of adapters in use. Those of a new one are built while the others go on. */
export class SessionPool {
  readonly #options: SessionPoolOptions;
  readonly #groups = new Map<string, Group>();
  readonly #room: SessionRoom;
  /** Lanes that are ending. */
  readonly #ending = new Set<Promise<unknown>>();

  constructor(options: SessionPoolOptions) {
    this.#options = options;
    this.#room = new SessionRoom(options.maxBytes, (key) => this.#remove(this.#groups.get(key), closed()));
  }

  /** Of each lane. */
  get sessions(): number {
    return this.#groups.size;
  }

  /** What all sessions take, as far as it is known. */
  get bytes(): number {
    return this.#room.bytes;
  }

  /** Slots taken, over all sessions. */
  get slotsTaken(): number {
    const lanes = [...this.#groups.values()].flatMap((group) => group.lanes);
    return lanes.reduce((sum, { slotsTaken }) => sum + slotsTaken, 0);
  }

  /**
   * Makes sure that the group has sessions, and gives its key; they stay until it is released.
   * @throws {SessionsInUse}
   */
  async open(sort: SessionGroup): Promise<Hold & { key: string }> {
    const key = groupKey(sort);
    const hold = this.#room.hold(key) ?? this.#room.admit(key, this.#bytesOf(sort));
    if (!hold) throw new SessionsInUse(sort);
    return this.#ready(key, sort, hold);
  }

  /** As `open`, once there is room. The caller must hold no other group, lest two wait for each other. */
  async wait(sort: SessionGroup, signal: AbortSignal): Promise<Hold> {
    const key = groupKey(sort);
    const hold = await this.#room.wait(key, this.#bytesOf(sort), signal);
    return this.#ready(key, sort, hold);
  }

  /** Keeps a group's sessions until it is released; undefined where it has none. @throws {SessionsInUse} where they make way for others */
  hold(key: string): Hold | undefined {
    const group = this.#groups.get(key);
    const hold = this.#room.hold(key);
    if (group && !hold) throw new SessionsInUse(group.sort);
    return hold;
  }

  async #ready(key: string, sort: SessionGroup, { release }: Hold): Promise<Hold & { key: string }> {
    try {
      await (this.#groups.get(key) ?? this.#build(key, sort)).ready;
      return { key, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  #bytesOf(sort: SessionGroup): number {
    return this.#options.lanes * this.#options.laneBytes(sort);
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
    await Promise.all([...groups.map(stopLanes), ...this.#ending]);
  }

  #group(key: string): Group {
    const group = this.#groups.get(key);
    if (!group) throw closed();
    return group;
  }

  #build(key: string, sort: SessionGroup): Group {
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    const { worker, runTokens } = this.#options;
    const batcher = new Batcher<Row>({ tokens: runTokens(sort.precision), adapters: worker.slots });
    const group: Group = { key, sort, batcher, lanes: [], ready, scheduled: false };
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
    // What gives way is gone before another takes its memory: the allocator gives a thread what one that ended has left.
    await Promise.all(this.#ending);
    const start = async () => {
      if (this.#groups.get(group.key) !== group) throw closed();
      const worker = new WorkerThread<ForwardHandlers>(ENTRY, data, (error) => {
        onFailure(error);
        this.#remove(group, error);
      });
      group.lanes.push({ worker, running: false, slotsTaken: 0, stackBytes: 0 });
      await worker.call('ready', null);
    };
    await start();
    await Promise.all(Array.from({ length: lanes - 1 }, start));
  }

  #remove(group: Group | undefined, error: Error): void {
    if (!group || this.#groups.get(group.key) !== group) return;
    this.#groups.delete(group.key);
    this.#room.remove(group.key);
    const ended = stopLanes(group).finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
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

  #noteStacks(group: Group, lane: Lane, bytes: number): void {
    if (bytes === lane.stackBytes) return;
    lane.stackBytes = bytes;
    const stacks = group.lanes.reduce((sum, { stackBytes }) => sum + stackBytes, 0);
    this.#room.resize(group.key, this.#bytesOf(group.sort) + stacks);
  }

  async #run(group: Group, lane: Lane, rows: readonly Row[]): Promise<void> {
    lane.running = true;
    const start = performance.now();
    try {
      const batch = rows.map(({ ids, adapter }) => ({ ids, adapter }));
      const { logits, milliseconds, runs, slots } = await lane.worker.call('run', batch);
      lane.slotsTaken = slots.taken;
      this.#noteStacks(group, lane, slots.bytes);
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
