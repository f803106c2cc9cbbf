import { AppError } from '../../shared/errors.ts';
import type { BaseModelSource } from '../models/open-base-model.ts';
import { WorkerThread } from '../runtime/worker-thread.ts';
import { Batcher, type BatchLimits, type QueuedRow } from './batcher.ts';
import type { AdapterToLoad, ForwardHandlers, ForwardWorkerData, SlotReport } from './forward-worker.ts';
import { groupKey, type SessionGroup } from './session-group.ts';

/** Sessions at once, of whatever base models, precisions, kinds and layers; each holds its own packed weights. */
const MAX_SESSIONS = 8;
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
  limits: BatchLimits;
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

interface Group {
  readonly key: string;
  readonly worker: WorkerThread<ForwardHandlers>;
  readonly ready: Promise<void>;
  pumping: boolean;
  slotsTaken: number;
}

/**
 * One worker thread with one session per group of adapters in use. A new one is built while the others go on; each
 * runs one batch after the other.
 */
export class SessionPool {
  readonly #options: SessionPoolOptions;
  readonly #batcher: Batcher<Row>;
  /** Least recently used first. */
  readonly #groups = new Map<string, Group>();

  constructor(options: SessionPoolOptions) {
    this.#options = options;
    this.#batcher = new Batcher(options.limits);
  }

  get sessions(): number {
    return this.#groups.size;
  }

  /** Slots taken, over all sessions. */
  get slotsTaken(): number {
    return [...this.#groups.values()].reduce((sum, { slotsTaken }) => sum + slotsTaken, 0);
  }

  /**
   * Makes sure that the group has a session, and gives its key.
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

  /** Loads an adapter into a group's worker, which reads its weights until it is dropped. */
  async load(key: string, adapter: AdapterToLoad): Promise<void> {
    await this.#group(key).worker.call('load', adapter);
  }

  drop(key: string, handle: string): void {
    this.#groups
      .get(key)
      ?.worker.call('drop', handle)
      .catch(() => {});
  }

  /** Whether an adapter lies in a slot of its group's session. */
  async inSlot(key: string, handle: string): Promise<boolean> {
    return this.#group(key).worker.call('inSlot', handle);
  }

  /**
   * Queues a text; it shares a run with whatever else waits for the same session. Where the signal is aborted before its
   * run it is dropped without an answer.
   */
  submit(key: string, { tenant, handle, ids }: TextToRun, signal: AbortSignal): Promise<RowResult> {
    const group = this.#group(key);
    return new Promise((resolve, reject) => {
      this.#batcher.add({
        group: key,
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
    await Promise.all([...this.#groups.values()].map(({ worker }) => worker.stop()));
  }

  #group(key: string): Group {
    const group = this.#groups.get(key);
    if (!group)
      throw new AppError('no_capacity', 'the session of this adapter was closed', { retryAfter: 1 });
    return group;
  }

  #build(key: string, { base, ...group }: SessionGroup): Group {
    this.#makeRoom();
    const source = this.#options.bases.get(base)!;
    const data: ForwardWorkerData = { ...this.#options.worker, ...group, base: source };
    const worker = new WorkerThread<ForwardHandlers>(ENTRY, data, (error) => {
      this.#options.onFailure(error);
      this.#remove(key, error);
    });
    const ready = worker.call('ready', null);
    const built: Group = { key, worker, ready, pumping: false, slotsTaken: 0 };
    this.#groups.set(key, built);
    ready.catch((error) => {
      this.#remove(key, error);
      void worker.stop();
    });
    return built;
  }

  #makeRoom(): void {
    if (this.#groups.size < MAX_SESSIONS) return;
    for (const { key, worker } of this.#groups.values()) {
      if (this.#options.inUse(key)) continue;
      this.#remove(key, new AppError('no_capacity', 'the session was closed for another', { retryAfter: 1 }));
      void worker.stop();
      return;
    }
    const message = `adapters of ${MAX_SESSIONS} sorts (base model, precision, LoRA or DoRA, target layers) are in use, which is all that a node serves at once`;
    throw new AppError('no_capacity', message, { retryAfter: 1 });
  }

  #remove(key: string, error: Error): void {
    this.#groups.delete(key);
    for (let rows = this.#batcher.take(key); rows.length > 0; rows = this.#batcher.take(key)) {
      for (const row of rows) row.reject(error);
    }
    this.#options.onGone(key);
  }

  /** After this turn of the event loop, so that rows that arrive together run together. */
  #schedule(group: Group): void {
    if (group.pumping) return;
    group.pumping = true;
    setImmediate(() => void this.#pump(group));
  }

  async #pump(group: Group): Promise<void> {
    for (let rows = this.#batcher.take(group.key); rows.length > 0; rows = this.#batcher.take(group.key)) {
      await this.#run(group, rows);
    }
    group.pumping = false;
  }

  async #run(group: Group, rows: readonly Row[]): Promise<void> {
    const start = performance.now();
    try {
      const batch = rows.map(({ ids, adapter }) => ({ ids, adapter }));
      const { logits, milliseconds, runs, slots } = await group.worker.call('run', batch);
      group.slotsTaken = slots.taken;
      this.#options.onRun({ ...measure(rows), runs, slots, milliseconds });
      rows.forEach((row, i) => {
        row.resolve({ logits: logits[i]!, queue: start - row.since, run: milliseconds });
      });
    } catch (error) {
      for (const row of rows) row.reject(error as Error);
    }
  }
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
