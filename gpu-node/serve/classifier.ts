import type { NodeClassifyRequest, NodeClassifyResponse } from '../../shared/api/nodes.ts';
import { AppError } from '../../shared/errors.ts';
import { softmax } from '../../shared/metrics.ts';
import type { AdapterStore } from '../adapter-store.ts';
import { explain, type Log } from '../log.ts';
import type { BaseModelSource } from '../models/open-base-model.ts';
import type { Device } from '../runtime/device.ts';
import { WorkerThread } from '../runtime/worker-thread.ts';
import { ServeMetrics } from './metrics.ts';
import type { PrepareHandlers, PrepareWorkerData } from './prepare-worker.ts';
import { type Resident, Residents } from './residents.ts';
import type { SessionGroup } from './session-group.ts';
import { type RowResult, SessionPool } from './session-pool.ts';

/** Adapters' tensors held in memory, besides those in slots. */
const MAX_RESIDENT_BYTES = 512 * 1024 * 1024;
/** Characters of all texts that wait, so that memory stays bounded whatever their length. */
const MAX_WAITING_CHARS = 32 * 1024 * 1024;
/** An adapter may be pushed out between its load and its use; this often it is loaded again. */
const LOAD_ATTEMPTS = 3;
const PREPARE = new URL('./prepare-worker.ts', import.meta.url);

export interface ClassifierOptions {
  /** Each of an id of its own. */
  bases: readonly BaseModelSource[];
  store: AdapterStore;
  device: Device;
  threads: number;
  /** Adapters that a run may mix. */
  slots: number;
  /** Padded tokens of one run. */
  batchTokens: number;
  /** Texts that may wait for an answer. */
  queueRows: number;
  log: Log;
}

interface ServedAdapter extends Resident {
  /** Id of its base model. */
  readonly base: string;
  readonly labels: readonly string[];
  readonly maxLength: number;
  readonly temperature: number;
}

interface Pin {
  resident: ServedAdapter;
  release(): void;
}

/** Answers classifications: loads adapters, tokenizes, batches across requests and runs, all off the calling thread. */
export class Classifier {
  readonly metrics = new ServeMetrics();
  readonly #options: ClassifierOptions;
  readonly #residents: Residents<ServedAdapter>;
  readonly #pool: SessionPool;
  readonly #loading = new Map<string, Promise<void>>();
  #prepare: WorkerThread<PrepareHandlers>;
  #stopping = false;
  #loads = 0;
  #waitingRows = 0;
  #waitingChars = 0;

  constructor(options: ClassifierOptions) {
    const { bases, slots, device, threads, batchTokens, log } = options;
    this.#options = options;
    this.#residents = new Residents(MAX_RESIDENT_BYTES, ({ group, handle }) => {
      this.metrics.adaptersDropped++;
      this.#pool.drop(group, handle);
    });
    this.#pool = new SessionPool({
      bases: new Map(bases.map((base) => [base.id, base])),
      worker: { slots, device, threads },
      limits: { tokens: batchTokens, adapters: slots },
      inUse: (group) => this.#residents.pinned(group),
      onGone: (group) => this.#residents.forget(group),
      onRun: (report) => this.metrics.ran(report),
      onFailure: (error) => log.error('a serving worker ended', { reason: explain(error) }),
    });
    this.#prepare = this.#startPrepare();
  }

  /**
   * Builds a group's session before anybody asks for it.
   * @throws {AppError} naming the base model whose files cannot be used, whether or not the group is of it
   */
  async warm(group: SessionGroup): Promise<void> {
    await Promise.all([this.#prepare.call('ready', null), this.#pool.open(group)]);
  }

  /** Texts that wait for an answer. */
  get queue(): number {
    return this.#waitingRows;
  }

  get resident(): number {
    return this.#residents.size;
  }

  get sessions(): number {
    return this.#pool.sessions;
  }

  /**
   * Scores of every row, in the caller's order, on the base model and precision that its adapter was trained on.
   * @throws {AppError} `rate_limited` where the queue is full, `adapter_not_found`, `invalid_adapter`, `model_not_found`;
   * `param` names the first row at fault
   */
  async classify({ rows }: NodeClassifyRequest, signal: AbortSignal): Promise<NodeClassifyResponse> {
    const leave = this.#enter(rows);
    try {
      return await this.#answer(rows, signal);
    } finally {
      leave();
    }
  }

  /** Drops bundles that were deleted, from memory and from disk. */
  async evict(bundles: readonly string[]): Promise<void> {
    for (const bundle of bundles) {
      this.#residents.remove(bundle);
      void this.#loading.get(bundle)?.then(
        () => this.#residents.remove(bundle),
        () => {},
      );
    }
    await Promise.all(bundles.map((bundle) => this.#options.store.drop(bundle)));
  }

  /** Ends the workers after the runs under way. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all([this.#pool.stop(), this.#prepare.stop()]);
  }

  async #answer(rows: NodeClassifyRequest['rows'], signal: AbortSignal): Promise<NodeClassifyResponse> {
    const start = performance.now();
    const pins = await this.#pinAll(rows);
    const load = performance.now() - start;
    try {
      const adapters = rows.map(({ bundle }) => pins.get(bundle)!.resident);
      const texts = rows.map(({ text }, i) => {
        const { base, maxLength } = adapters[i]!;
        return { base, text, maxLength };
      });
      const tokens = await this.#prepare.call('tokenize', texts);
      signal.throwIfAborted();
      const submitted = tokens.map(({ ids }, i) => {
        const { group, handle } = adapters[i]!;
        return this.#pool.submit(group, handle, ids, signal);
      });
      const results = await unlessAborted(Promise.all(submitted), signal);
      return {
        labels: Object.fromEntries([...pins].map(([bundle, { resident }]) => [bundle, [...resident.labels]])),
        rows: results.map(({ logits }, i) => {
          const { ids, truncated } = tokens[i]!;
          return { scores: softmax(logits, adapters[i]!.temperature), tokens: ids.length, truncated };
        }),
        timing: { load, ...longest(results) },
      };
    } finally {
      for (const { release } of pins.values()) release();
    }
  }

  /** Loads what is missing, all at once, and holds everything until it is released. */
  async #pinAll(rows: NodeClassifyRequest['rows']): Promise<Map<string, Pin>> {
    const bundles = [...new Set(rows.map(({ bundle }) => bundle))];
    const pins = await Promise.allSettled(bundles.map((bundle) => this.#pin(bundle)));
    const failed = pins.findIndex(({ status }) => status === 'rejected');
    if (failed < 0) {
      return new Map(pins.map((pin, i) => [bundles[i]!, (pin as PromiseFulfilledResult<Pin>).value]));
    }
    for (const pin of pins) if (pin.status === 'fulfilled') pin.value.release();
    const { reason } = pins[failed] as PromiseRejectedResult;
    const row = rows.findIndex(({ bundle }) => bundle === bundles[failed]);
    throw atRow(reason, row);
  }

  async #pin(bundle: string): Promise<Pin> {
    for (let attempt = 0; attempt < LOAD_ATTEMPTS; attempt++) {
      const pin = this.#residents.pin(bundle);
      if (pin) return pin;
      await this.#load(bundle);
    }
    throw new AppError('no_capacity', 'the adapters in use take all of the memory for them', {
      retryAfter: 1,
    });
  }

  #load(bundle: string): Promise<void> {
    const running = this.#loading.get(bundle);
    if (running) return running;
    const load = this.#loadOnce(bundle).finally(() => this.#loading.delete(bundle));
    this.#loading.set(bundle, load);
    return load;
  }

  async #loadOnce(bundle: string): Promise<void> {
    const start = performance.now();
    const files = await this.#options.store.read(bundle);
    const checked = await this.#prepare.call('check', { bundle, files });
    const { description, pooling, weights, labels, maxLength, temperature } = checked;
    const { base } = checked.group;
    const group = await this.#pool.open(checked.group);
    const handle = `${bundle} ${this.#loads++}`;
    await this.#pool.load(group, { handle, description, pooling, weights });
    const bytes = weights.byteLength;
    this.#residents.add({ bundle, handle, base, group, bytes, labels, maxLength, temperature });
    this.metrics.loaded(performance.now() - start);
  }

  /** Counts rows in; gives the function that counts them out. */
  #enter(rows: NodeClassifyRequest['rows']): () => void {
    const chars = rows.reduce((sum, { text }) => sum + text.length, 0);
    const full =
      this.#waitingRows + rows.length > this.#options.queueRows ||
      (this.#waitingRows > 0 && this.#waitingChars + chars > MAX_WAITING_CHARS);
    if (full) {
      this.metrics.refused++;
      const retryAfter = Math.max(1, Math.ceil(this.#waitingRows * this.metrics.secondsPerRow));
      throw new AppError('rate_limited', `${this.#waitingRows} texts are waiting, the queue is full`, {
        retryAfter,
      });
    }
    this.#waitingRows += rows.length;
    this.#waitingChars += chars;
    return () => {
      this.#waitingRows -= rows.length;
      this.#waitingChars -= chars;
    };
  }

  #startPrepare(): WorkerThread<PrepareHandlers> {
    const data: PrepareWorkerData = { bases: this.#options.bases };
    return new WorkerThread<PrepareHandlers>(PREPARE, data, (error) => {
      this.#options.log.error('the tokenizing worker ended', { reason: explain(error) });
      if (!this.#stopping) this.#prepare = this.#startPrepare();
    });
  }
}

/** The promise, or a rejection as soon as nobody waits for it: the batcher drops such rows without an answer. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function longest(results: readonly RowResult[]): { queue: number; run: number } {
  return {
    queue: Math.max(...results.map(({ queue }) => queue)),
    run: Math.max(...results.map(({ run }) => run)),
  };
}

/** The same error, naming the row of the request that it is about. */
function atRow(error: unknown, row: number): unknown {
  if (!(error instanceof AppError)) return error;
  const { code, message, retryAfter } = error;
  return new AppError(code, message, {
    param: `rows.${row}.bundle`,
    cause: error.cause,
    ...(retryAfter !== undefined && { retryAfter }),
  });
}
