import { setTimeout as sleep } from 'node:timers/promises';
import type { AdapterDescription } from '../../shared/adapter-description.ts';
import type { AdapterTier } from '../../shared/api/nodes.ts';
import { AppError } from '../../shared/errors.ts';
import type { Pooling } from '../../shared/peft-config.ts';
import { explain, type Log } from '../log.ts';
import { type AdapterMemory, bytesTaken, type StoredBytes } from './adapter-memory.ts';
import type { AdapterStore } from './adapter-store.ts';
import type { CheckedAdapter } from './check-worker.ts';
import { unlessAborted } from './deadline.ts';
import type { ServeMetrics } from './metrics.ts';
import { type Pin, type Resident, Residents } from './residents.ts';
import type { SessionGroup } from './session-group.ts';
import type { Seat, SessionPool } from './session-pool.ts';
import { SharedValues } from './shared-values.ts';
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

/** An adapter in memory, as its rows and its sessions need it. */
export interface LoadedAdapter extends Resident {
  readonly description: AdapterDescription;
  readonly pooling: Pooling;
  readonly weights: StoredBytes;
  /** Id of its base model. */
  readonly base: string;
  /** Which sessions can serve it. */
  readonly sort: SessionGroup;
  readonly labels: readonly string[];
  readonly maxLength: number;
  readonly placeholders: number;
  readonly temperature: number;
}

/** An adapter that has a place in sessions, and stays there and in memory until it is released. */
export interface SeatedAdapter extends Seat {
  readonly adapter: LoadedAdapter;
}

/**
 * The adapters of a node, tier by tier: each is brought from the edge to disk, from there to memory, and by a run into a
 * slot. Loads go on beside each other and beside the runs; those of one adapter are one. What is in memory is loaded into whichever
 * sessions serve it then, and stays when they go.
 */
export class Adapters {
  readonly #options: AdaptersOptions;
  readonly #residents: Residents<LoadedAdapter>;
  readonly #warmer: Warmer;
  readonly #loading = new Map<string, Promise<void>>();
  readonly #descriptions = new SharedValues<AdapterDescription>();
  readonly #sorts = new SharedValues<SessionGroup>();
  /** Those that were deleted while they are being loaded. */
  readonly #deleted = new Set<string>();
  #loads = 0;

  constructor(options: AdaptersOptions) {
    const { pool, memory } = options;
    this.#options = options;
    this.#residents = new Residents(memory.maxBytes, ({ handle, weights }) => {
      pool.drop(handle);
      memory.free(weights);
    });
    this.#warmer = new Warmer({
      load: (bundle) => this.#prepare(bundle),
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

  /**
   * Loads an adapter that is not in memory, or not in sessions, and holds it there until it is released.
   * @throws {AppError} `adapter_not_found`, `invalid_adapter`, `model_not_found`, `upstream_failed`, `no_capacity`, and of these
   * `SessionsInUse` where there is no room for sessions of its sort
   */
  async seat(bundle: string, signal: AbortSignal): Promise<SeatedAdapter> {
    return this.#seat(bundle, signal, true);
  }

  /** Loads an adapter; whether it could be. */
  async tryLoad(bundle: string): Promise<boolean> {
    try {
      await this.#prepare(bundle);
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
    return (await this.#options.pool.inSlot(resident.handle)) ? 'slot' : 'memory';
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

  /** Brings an adapter as far as a run could use it. */
  async #prepare(bundle: string): Promise<void> {
    const seated = await this.#seat(bundle, new AbortController().signal, false);
    seated.release();
  }

  async #seat(bundle: string, signal: AbortSignal, isUse: boolean): Promise<SeatedAdapter> {
    for (let attempt = 0; attempt < LOAD_ATTEMPTS; attempt++) {
      const pin = this.#residents.pin(bundle, isUse && attempt === 0);
      if (pin) return this.#seated(pin, signal);
      await unlessAborted(this.#load(bundle), signal);
    }
    throw noRoom();
  }

  /** What is pinned stays in memory until its sessions have read it, also where the caller leaves before. */
  async #seated({ resident, release }: Pin<LoadedAdapter>, signal: AbortSignal): Promise<SeatedAdapter> {
    const { handle, description, pooling, weights, sort } = resident;
    const seating = this.#options.pool.seat({ handle, description, pooling, weights }, sort).then(
      (seat) => ({
        adapter: resident,
        submit: seat.submit,
        release: () => [seat.release, release].forEach(call),
      }),
      (error) => {
        release();
        throw error;
      },
    );
    try {
      return await unlessAborted(seating, signal);
    } catch (error) {
      seating.then((seat) => seat.release()).catch(() => {});
      throw error;
    }
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
    const adapter = await this.#options.store.read(bundle);
    if (adapter instanceof AppError) throw adapter;
    if (this.#deleted.has(bundle)) throw new AppError('adapter_not_found', 'the adapter was just deleted');
    const { pooling, labels, maxLength, placeholders, temperature } = adapter;
    const weights = this.#keep(adapter.weights);
    const isThere = this.#residents.add({
      bundle,
      handle: `${bundle} ${this.#loads++}`,
      bytes: bytesTaken(weights),
      weights,
      description: this.#descriptions.shared(adapter.description),
      sort: this.#sorts.shared(adapter.group),
      base: adapter.group.base,
      pooling,
      labels,
      maxLength,
      placeholders,
      temperature,
    });
    if (isThere) return;
    this.#options.memory.free(weights);
    throw noRoom();
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
}

const call = (each: () => void): void => each();

function noRoom(): AppError {
  return new AppError('no_capacity', 'the adapters in use take all of the memory for them', {
    retryAfter: 1,
  });
}
