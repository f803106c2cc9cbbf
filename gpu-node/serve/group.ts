import { AppError } from '../../shared/errors.ts';
import type { Plan } from '../parts/index.ts';
import { WorkerThread } from '../runtime/worker-thread.ts';
import { Batcher, type BatchLimits, type QueuedRow } from './batcher.ts';
import type { AdapterToLoad, ForwardHandlers, ForwardWorkerData, SlotReport } from './forward-worker.ts';
import { groupKey, type SessionGroup } from './session-group.ts';

const ENTRY = new URL('./forward-worker.ts', import.meta.url);
/** Part of a run's tokens that a run in the background takes, so that who asks meanwhile waits for a short one. */
const BACKGROUND_SHARE = 1 / 2;

export interface RowResult {
  logits: Float32Array;
  /** Milliseconds of waiting, and of the run itself. */
  queue: number;
  run: number;
}

/** Description of a run for the metrics. */
export interface RunReport {
  rows: number;
  tokens: number;
  /** Number of tokens with their padding. */
  padded: number;
  /** Padded tokens divided by the most that the run might have had. */
  fill: number;
  /** Number of distinct adapters. */
  adapters: number;
  runs: number;
  slots: SlotReport;
  milliseconds: number;
}

/** A text to run. */
export interface TextToRun {
  /** The tenant that asks. */
  tenant: string;
  /** The adapter's handle. */
  handle: string;
  ids: Int32Array;
  /** True for a text that is run only when no other waits for these sessions. */
  background: boolean;
}

interface Row extends QueuedRow {
  readonly plan: Plan;
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

/** A batch that was given to a lane. */
export interface Run {
  readonly session: Plan;
  /** Distinct plans of its rows' adapters. */
  readonly plans: readonly Plan[];
  /** Padded tokens divided by the most that the run might have had. */
  readonly fill: number;
}

interface Loaded {
  readonly plan: Plan;
  readonly done: Promise<unknown>;
  /** Widths of its rows, known once it is loaded. */
  widths: readonly number[];
}

export interface GroupOptions {
  /** Data for each lane's worker. */
  worker: ForwardWorkerData;
  lanes: number;
  limits: BatchLimits;
  /** Called when rows wait that no lane has been offered. */
  onWaiting(): void;
  /** Called when a run is over and its lane idle. */
  onIdle(run: Run): void;
  onRun(report: RunReport): void;
  /** Called when the bytes of all lanes' stacks have changed. */
  onStacks(bytes: number): void;
  /** Called when a lane's worker ended unexpectedly. */
  onDeath(error: Error): void;
}

/** The sessions of a group of adapters, one per lane. Each holds all of the group's adapters and takes the next batch as soon as it can. */
export class Group {
  readonly key: string;
  readonly sort: SessionGroup;
  /** True once all lanes are ready. */
  isOpen = false;
  /** Resolves when all lanes are ready. */
  readonly ready: Promise<void>;
  readonly #options: GroupOptions;
  readonly #batcher: Batcher<Row>;
  /** Rows that wait until no others do. */
  readonly #background: Batcher<Row>;
  readonly #lanes: Lane[] = [];
  /** Adapters by their handles. */
  readonly #adapters = new Map<string, Loaded>();
  #closed: Error | undefined;

  /** Starts to build the sessions once `after` has settled. */
  constructor(sort: SessionGroup, after: Promise<unknown>, options: GroupOptions) {
    this.key = groupKey(sort);
    this.sort = sort;
    this.#options = options;
    this.#batcher = new Batcher<Row>(options.limits);
    const tokens = options.limits.tokens * BACKGROUND_SHARE;
    this.#background = new Batcher<Row>({ ...options.limits, tokens });
    this.ready = this.#start(after);
  }

  get plan(): Plan {
    return this.sort.plan;
  }

  /** Number of taken slots over all lanes. */
  get slotsTaken(): number {
    return this.#lanes.reduce((sum, { slotsTaken }) => sum + slotsTaken, 0);
  }

  /** Loads an adapter, unless it is loaded, into all lanes. They read its weights until it is dropped. */
  async load(adapter: AdapterToLoad, plan: Plan): Promise<void> {
    const { handle } = adapter;
    const before = this.#adapters.get(handle);
    if (before) return void (await before.done);
    const done = Promise.all(this.#lanes.map(({ worker }) => worker.call('load', adapter)));
    const loaded: Loaded = { plan, done, widths: [] };
    this.#adapters.set(handle, loaded);
    try {
      [loaded.widths = []] = await done;
    } catch (error) {
      this.drop(handle);
      throw error;
    }
  }

  /** Whether it had the adapter. */
  drop(handle: string): boolean {
    if (!this.#adapters.delete(handle)) return false;
    for (const { worker } of this.#lanes) worker.call('drop', handle).catch(() => {});
    return true;
  }

  /** True if an adapter is in a slot of one of the lanes. */
  async inSlot(handle: string): Promise<boolean> {
    if (!this.#adapters.has(handle)) return false;
    return (await Promise.all(this.#lanes.map(({ worker }) => worker.call('inSlot', handle)))).includes(true);
  }

  /** Queues a text of a loaded adapter. If the signal is aborted before its run, the text is dropped without an answer. */
  submit({ tenant, handle, ids, background }: TextToRun, signal: AbortSignal): Promise<RowResult> {
    const loaded = this.#adapters.get(handle);
    if (this.#closed || !loaded) return Promise.reject(this.#closed ?? closed());
    return new Promise((resolve, reject) => {
      (background ? this.#background : this.#batcher).add({
        tenant,
        adapter: handle,
        plan: loaded.plan,
        cost: ids.length,
        widths: loaded.widths,
        ids,
        since: performance.now(),
        abandoned: () => signal.aborted,
        resolve,
        reject,
      });
      this.#options.onWaiting();
    });
  }

  /** Gives each idle lane a part of the waiting rows; returns the runs. */
  fill(): Run[] {
    const idle = this.#lanes.filter(({ running }) => !running);
    const runs: Run[] = [];
    for (const [i, lane] of idle.entries()) {
      const rows = this.#take(idle.length - i);
      if (rows.length === 0) break;
      const run = {
        session: this.plan,
        plans: [...new Set(rows.map(({ plan }) => plan))],
        fill: measure(rows).padded / this.#options.limits.tokens,
      };
      runs.push(run);
      void this.#run(lane, rows, run);
    }
    return runs;
  }

  /** Ends the lanes after the current runs; waiting rows are rejected. */
  async stop(error: Error = closed()): Promise<void> {
    this.#closed = error;
    for (let rows = this.#take(); rows.length > 0; rows = this.#take()) {
      for (const row of rows) row.reject(error);
    }
    await Promise.all(this.#lanes.map(({ worker }) => worker.stop()));
  }

  /** The next batch: of rows that nobody waits for only where there are no others. */
  #take(parts?: number): Row[] {
    const rows = this.#batcher.take(parts);
    return rows.length > 0 ? rows : this.#background.take(parts);
  }

  /** Starts one lane, then the others: the first writes the base model's weights in the wanted precision, unless they exist. */
  async #start(after: Promise<unknown>): Promise<void> {
    const { worker: data, lanes, onDeath } = this.#options;
    await after;
    const start = async () => {
      if (this.#closed) throw this.#closed;
      const worker = new WorkerThread<ForwardHandlers>(ENTRY, data, onDeath);
      this.#lanes.push({ worker, running: false, slotsTaken: 0, stackBytes: 0 });
      await worker.call('ready', null);
    };
    await start();
    await Promise.all(Array.from({ length: lanes - 1 }, start));
    this.isOpen = true;
  }

  async #run(lane: Lane, rows: readonly Row[], run: Run): Promise<void> {
    const { onRun, onIdle } = this.#options;
    lane.running = true;
    const start = performance.now();
    try {
      const batch = rows.map(({ ids, adapter }) => ({ ids, adapter }));
      const { logits, milliseconds, runs, slots } = await lane.worker.call('run', batch);
      lane.slotsTaken = slots.taken;
      this.#noteStacks(lane, slots.bytes);
      onRun({ ...measure(rows), fill: run.fill, runs, slots, milliseconds });
      for (const [i, row] of rows.entries()) {
        row.resolve({ logits: logits[i]!, queue: start - row.since, run: milliseconds });
      }
    } catch (error) {
      for (const row of rows) row.reject(error as Error);
    }
    lane.running = false;
    onIdle(run);
  }

  #noteStacks(lane: Lane, bytes: number): void {
    if (bytes === lane.stackBytes) return;
    lane.stackBytes = bytes;
    this.#options.onStacks(this.#lanes.reduce((sum, { stackBytes }) => sum + stackBytes, 0));
  }
}

export function closed(): AppError {
  return new AppError('no_capacity', 'the sessions of this adapter were closed', { retryAfter: 1 });
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
