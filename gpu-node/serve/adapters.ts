import { setTimeout as sleep } from 'node:timers/promises';
import type { AdapterTier } from '../../shared/api/nodes.ts';
import { AppError } from '../../shared/errors.ts';
import { explain, type Log } from '../log.ts';
import { type AdapterMemory, bytesTaken, type StoredBytes } from './adapter-memory.ts';
import type { AdapterStore } from './adapter-store.ts';
import type { CheckedAdapter } from './check-worker.ts';
import { unlessAborted } from './deadline.ts';
import type { ServeMetrics } from './metrics.ts';
import { type Pin, type Resident, Residents } from './residents.ts';
import type { SessionPool } from './session-pool.ts';
import type { TierCounts } from './tier.ts';
import { Warmer } from './warmer.ts';

/** An adapter may be pushed out between its load and its use; this often it is loaded again. */
const LOAD_ATTEMPTS = 3;
/** Between loads that nobody waits for, of which each takes more than 1 ms of a core: as fast as they go they would slow the runs down. */
const WARM_REST_MS = 10;

export interface AdaptersOptions {
  store: AdapterStore<CheckedAdapter | AppError>;
  pool: SessionPool;
  memory: AdapterMemory;
  metrics: ServeMetrics;
  log: Log;
}

/** An adapter in memory, as its rows need it. */
export interface LoadedAdapter extends Resident {
  readonly weights: StoredBytes;
  /** Id of its base model. */
  readonly base: string;
  readonly labels: readonly string[];
  readonly maxLength: number;
  readonly temperature: number;
}

/**
 * The adapters of a node, tier by tier: each is brought from the edge to disk, from there to memory, and by a run into a
 * slot. Loads go on beside each other and beside the runs; those of one adapter are one.
 */
export class Adapters {
  readonly #options: AdaptersOptions;
  readonly #residents: Residents<LoadedAdapter>;
  readonly #warmer: Warmer;
  readonly #loading = new Map<string, Promise<void>>();
  /** Those that were deleted while they are being loaded. */
  readonly #deleted = new Set<string>();
  #loads = 0;

  constructor(options: AdaptersOptions) {
    const { pool, memory } = options;
    this.#options = options;
    this.#residents = new Residents(memory.maxBytes, ({ group, handle, weights }) => {
      pool.drop(group, handle);
      memory.free(weights);
    });
    this.#warmer = new Warmer({
      load: async (bundle) => {
        if (!this.#residents.get(bundle)) await this.#load(bundle);
      },
      onFailure: (bundle, error) => this.#warnOf(bundle, error),
      rest: () => sleep(WARM_REST_MS),
    });
  }

  /** Adapters in memory. */
  get size(): number {
    return this.#residents.size;
  }

  get bytes(): number {
    return this.#residents.bytes;
  }

  get counts(): TierCounts {
    return this.#residents.counts;
  }

  /** An adapter in memory. */
  get(bundle: string): LoadedAdapter | undefined {
    return this.#residents.get(bundle);
  }

  /** A group's session is gone. */
  forget(group: string): void {
    this.#residents.forget(group);
  }

  /**
   * Loads an adapter that is not in memory, and holds it there until it is released.
   * @throws {AppError} `adapter_not_found`, `invalid_adapter`, `model_not_found`, `upstream_failed`, `no_capacity`, and of these
   * `SessionsInUse` where there is no room for sessions of its sort
   */
  async pin(bundle: string, signal: AbortSignal): Promise<Pin<LoadedAdapter>> {
    for (let attempt = 0; attempt < LOAD_ATTEMPTS; attempt++) {
      const group = this.#residents.get(bundle)?.group;
      const hold = group === undefined ? undefined : this.#options.pool.hold(group);
      const pin = this.#residents.pin(bundle, attempt === 0);
      if (pin && hold) return { resident: pin.resident, release: () => [pin, hold].forEach(release) };
      await unlessAborted(this.#load(bundle), signal);
    }
    throw noRoom();
  }

  /** Loads an adapter; whether it could be. */
  async tryLoad(bundle: string): Promise<boolean> {
    try {
      await this.#load(bundle);
      return true;
    } catch (error) {
      this.#warnOf(bundle, error);
      return false;
    }
  }

  /** Starts to load adapters that nobody waits for yet; says how many of them, from the first, there is room to wait for. */
  warm(bundles: readonly string[]): number {
    return this.#warmer.add(bundles);
  }

  /** The fastest tier that holds an adapter. */
  async tierOf(bundle: string): Promise<AdapterTier | null> {
    const resident = this.#residents.get(bundle);
    if (!resident) return this.#options.store.has(bundle) ? 'disk' : null;
    const { group, handle } = resident;
    return (await this.#options.pool.inSlot(group, handle)) ? 'slot' : 'memory';
  }

  /** Drops bundles that were deleted, from memory and from disk. */
  async evict(bundles: readonly string[]): Promise<void> {
    for (const bundle of bundles) {
      this.#residents.remove(bundle);
      if (this.#loading.has(bundle)) this.#deleted.add(bundle);
    }
    await Promise.all(bundles.map((bundle) => this.#options.store.drop(bundle)));
  }

  /** Forgets what is to be loaded ahead of its use. */
  stop(): void {
    this.#warmer.stop();
  }

  #warnOf(bundle: string, error: unknown): void {
    const message = 'an adapter could not be loaded ahead of its use';
    this.#options.log.warn(message, { bundle, reason: explain(error) });
  }

  #load(bundle: string): Promise<void> {
    const running = this.#loading.get(bundle);
    if (running) return running;
    const load = this.#countLoad(bundle).finally(() => {
      this.#loading.delete(bundle);
      this.#deleted.delete(bundle);
    });
    this.#loading.set(bundle, load);
    return load;
  }

  async #countLoad(bundle: string): Promise<void> {
    const { metrics } = this.#options;
    const start = performance.now();
    let outcome = 'ok';
    try {
      await this.#loadOnce(bundle);
    } catch (error) {
      outcome = error instanceof AppError ? error.code : 'internal_error';
      throw error;
    } finally {
      metrics.loaded(outcome, performance.now() - start);
    }
  }

  async #loadOnce(bundle: string): Promise<void> {
    const { store, memory } = this.#options;
    const adapter = await store.read(bundle);
    if (adapter instanceof AppError) throw adapter;
    const weights = this.#keep(adapter.weights);
    try {
      await this.#intoSession(bundle, adapter, weights);
    } catch (error) {
      memory.free(weights);
      throw error;
    }
  }

  /** Takes weights over into memory, where those give way to them that are worth least. */
  #keep(weights: Uint8Array<ArrayBuffer>): StoredBytes {
    let stored = this.#options.memory.store(weights);
    while (!stored) {
      if (!this.#residents.giveWay()) throw noRoom();
      stored = this.#options.memory.store(weights);
    }
    // A collector would take its time to free the file's own buffer.
    weights.buffer.transfer(0);
    return stored;
  }

  async #intoSession(bundle: string, adapter: CheckedAdapter, weights: StoredBytes): Promise<void> {
    const { pool } = this.#options;
    const { description, pooling, labels, maxLength, temperature } = adapter;
    const { base } = adapter.group;
    const { key: group, ...hold } = await pool.open(adapter.group);
    try {
      const handle = `${bundle} ${this.#loads++}`;
      await pool.load(group, { handle, description, pooling, weights });
      const bytes = bytesTaken(weights);
      const resident = { bundle, handle, base, group, bytes, weights, labels, maxLength, temperature };
      const isDeleted = this.#deleted.has(bundle);
      if (!isDeleted && this.#residents.add(resident)) return;
      pool.drop(group, handle);
      throw isDeleted ? new AppError('adapter_not_found', 'the adapter was just deleted') : noRoom();
    } finally {
      // After this turn of the event loop, in which whoever waits for the adapter holds it.
      setImmediate(hold.release);
    }
  }
}

const release = (held: { release(): void }): void => held.release();

function noRoom(): AppError {
  return new AppError('no_capacity', 'the adapters in use take all of the memory for them', {
    retryAfter: 1,
  });
}
