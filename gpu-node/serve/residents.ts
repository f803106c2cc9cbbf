import { Tier, type TierCounts } from './tier.ts';

/** An adapter in memory. */
export interface Resident {
  readonly bundle: string;
  /** Name of the adapter in sessions: it differs at each load, so that dropping an old load never drops a new one. */
  readonly handle: string;
  readonly bytes: number;
}

/** A resident that stays in memory until it is released. */
export interface Pin<R extends Resident> {
  readonly resident: R;
  release(): void;
}

interface Entry<R extends Resident> {
  readonly resident: R;
  pins: number;
  gone: boolean;
}

/** Bytes whose reading takes as long as the fixed part of loading an adapter from disk. */
const LOAD_OVERHEAD_BYTES = 1024 * 1024;

/**
 * Decides which adapters are in memory. It is pure policy: when the bytes run out, adapters worth least give way, but never a pinned one,
 * i.e. one with rows waiting or running. An adapter removed while pinned leaves with its last pin.
 */
export class Residents<R extends Resident> {
  readonly #tier: Tier;
  readonly #onLeave: (resident: R) => void;
  readonly #entries = new Map<string, Entry<R>>();

  constructor(maxBytes: number, onLeave: (resident: R) => void) {
    this.#tier = new Tier({ capacity: maxBytes, overhead: LOAD_OVERHEAD_BYTES });
    this.#onLeave = onLeave;
  }

  get size(): number {
    return this.#tier.count;
  }

  get bytes(): number {
    return this.#tier.used;
  }

  get counts(): TierCounts {
    return this.#tier.counts;
  }

  /** Returns an adapter in memory without counting the use. */
  get(bundle: string): R | undefined {
    return this.#entries.get(bundle)?.resident;
  }

  /** Returns the adapter, pinned until `release` is called; undefined if it is not in memory. */
  pin(bundle: string, counted = true): Pin<R> | undefined {
    if (!this.#tier.use(bundle, counted)) return undefined;
    const entry = this.#entries.get(bundle)!;
    entry.pins++;
    return { resident: entry.resident, release: () => this.#release(entry) };
  }

  /** Adds an adapter; false if it does not fit beside the pinned ones. */
  add(resident: R): boolean {
    const evicted = this.#tier.add(resident.bundle, resident.bytes, this.#isPinned);
    for (const bundle of evicted ?? []) this.#leave(bundle);
    if (evicted) this.#entries.set(resident.bundle, { resident, pins: 0, gone: false });
    return evicted !== undefined;
  }

  /** Removes the adapter that is worth least; false if all are pinned. */
  giveWay(): boolean {
    const evicted = this.#tier.makeRoom(1, this.#isPinned);
    for (const bundle of evicted ?? []) this.#leave(bundle);
    return evicted !== undefined;
  }

  remove(bundle: string): void {
    if (this.#tier.delete(bundle)) this.#leave(bundle);
  }

  readonly #isPinned = (bundle: string): boolean => this.#entries.get(bundle)!.pins > 0;

  #leave(bundle: string): void {
    const entry = this.#entries.get(bundle)!;
    this.#entries.delete(bundle);
    entry.gone = true;
    if (entry.pins === 0) this.#onLeave(entry.resident);
  }

  #release(entry: Entry<R>): void {
    entry.pins--;
    if (entry.gone && entry.pins === 0) this.#onLeave(entry.resident);
  }
}
