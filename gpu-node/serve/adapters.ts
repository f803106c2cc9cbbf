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
import { type Seat, type SessionPool, SessionsInUse } from './session-pool.ts';
import { SharedValues } from './shared-values.ts';
import type { TierCounts } from './tier.ts';
import { Warmer } from './warmer.ts';

/** Attempts to load an adapter, because it may be pushed out between its load and its use. */
const LOAD_ATTEMPTS = 3;
/** Milliseconds between loads that nobody waits for. Each takes a core for some time, so without pauses they would slow the runs down. */
const WARM_REST_MS = 10;

export interface AdaptersOptions {
  store: AdapterStore<CheckedAdapter | AppError>;
  pool: SessionPool;
  memory: AdapterMemory;
  metrics: ServeMetrics;
  log: Log;
}

/** An adapter in memory, with everything that rows and sessions need of it. */
export interface ResidentAdapter extends Resident {
  readonly description: AdapterDescription;
  readonly pooling: Pooling;
  readonly weights: StoredBytes;
  /** Id of its base model. */
  readonly base: string;
  /** The kind of sessions that can serve it. */
  readonly sort: SessionGroup;
  readonly labels: readonly string[];
  readonly maxLength: number;
  readonly placeholders: number;
  readonly temperature: number;
}

/** An adapter with a place in sessions. It stays there and in memory until it is released. */
export interface SeatedAdapter extends Seat {
  readonly adapter: ResidentAdapter;
}

/**
 * The adapters of a node, tier by tier: the edge, the disk, memory, and slots, which a run fills. Loads run beside each other and beside
 * the runs; loads of one adapter are shared. An adapter in memory is loaded into whichever sessions serve it, and stays in memory when they
 * go.
 */
export class Adapters {
  readonly #options: AdaptersOptions;
  readonly #residents: Residents<ResidentAdapter>;
  readonly #warmer: Warmer;
  readonly #loading = new Map<string, Promise<void>>();
  readonly #descriptions = new SharedValues<AdapterDescription>();
  readonly #sorts = new SharedValues<SessionGroup>();
  /** Bundles that were deleted while they are being loaded. */
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

  /** Number of adapters in memory. */
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
  get(bundle: string): ResidentAdapter | undefined {
    return this.#residents.get(bundle);
  }

  /**
   * Loads an adapter into memory and into sessions, unless it is there, and holds it until it is released.
   * @throws {AppError} `adapter_not_found`, `invalid_adapter`, `model_not_found`, `upstream_failed`, `no_capacity`; the last as
   * `SessionsInUse` if there is no room for its kind of sessions
   */
  async seat(bundle: string, signal: AbortSignal): Promise<SeatedAdapter> {
    return this.#seat(bundle, signal, true);
  }

  /** Loads an adapter; returns whether that succeeded. */
  async tryLoad(bundle: string): Promise<boolean> {
    try {
      await this.#prepare(bundle);
      return true;
    } catch (error) {
      this.#warnOf(bundle, error);
      return false;
    }
  }

  /** Starts loading adapters that nobody waits for yet. Returns how many of them, counted from the first, there is room for. */
  warm(bundles: readonly string[]): number {
    return this.#warmer.add(bundles);
  }

  /** The fastest tier that holds an adapter. */
  async tierOf(bundle: string): Promise<AdapterTier | null> {
    const resident = this.#residents.get(bundle);
    if (!resident) return this.#options.store.has(bundle) ? 'disk' : null;
    return (await this.#options.pool.inSlot(resident.handle)) ? 'slot' : 'memory';
  }

  /** Drops deleted bundles from memory and from disk. */
  async evict(bundles: readonly string[]): Promise<void> {
    for (const bundle of bundles) {
      this.#residents.remove(bundle);
      if (this.#loading.has(bundle)) this.#deleted.add(bundle);
    }
    await Promise.all(bundles.map((bundle) => this.#options.store.drop(bundle)));
  }

  /** Forgets the loads that are still to start. */
  stop(): void {
    this.#warmer.stop();
  }

  #warnOf(bundle: string, error: unknown): void {
    const message = 'an adapter could not be loaded ahead of its use';
    this.#options.log.warn(message, { bundle, reason: explain(error) });
  }

  /** Brings an adapter to where a run could use it. */
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

  /** Seats a pinned adapter. It stays in memory until its sessions have read it, even if the caller leaves earlier. */
  async #seated({ resident, release }: Pin<ResidentAdapter>, signal: AbortSignal): Promise<SeatedAdapter> {
    const { bundle, handle, description, pooling, weights, sort } = resident;
    const seating = this.#options.pool.seat({ handle, description, pooling, weights }, sort).then(
      (seat) => ({
        adapter: resident,
        submit: seat.submit,
        release: () => [seat.release, release].forEach(call),
      }),
      (error) => {
        release();
        // Its files may have left the disk: the next attempt fetches them.
        if (sort.model && !(error instanceof SessionsInUse)) this.#residents.remove(bundle);
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

  /** Stores weights in memory; adapters worth least give way to them. */
  #keep(weights: Uint8Array<ArrayBuffer>): StoredBytes {
    let stored = this.#options.memory.store(weights);
    while (!stored) {
      if (!this.#residents.giveWay()) throw noRoom();
      stored = this.#options.memory.store(weights);
    }
    // The file's own buffer is freed at once, because the garbage collector would take its time.
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
