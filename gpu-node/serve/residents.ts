/** An adapter that a forward worker holds in memory. */
export interface Resident {
  readonly bundle: string;
  /** What the worker knows it by: another one at each load, so that dropping an old load never drops a new one. */
  readonly handle: string;
  /** The group whose session serves it. */
  readonly group: string;
  readonly bytes: number;
}

interface Entry<R extends Resident> {
  readonly resident: R;
  pins: number;
  gone: boolean;
}

/**
 * Which adapters are in memory. Pure policy: the least recently used give way when the bytes run out, but never one that
 * is pinned, i.e. has rows waiting or running. One that is removed while pinned leaves when its last pin does.
 */
export class Residents<R extends Resident> {
  readonly #maxBytes: number;
  readonly #onLeave: (resident: R) => void;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry<R>>();
  #bytes = 0;

  constructor(maxBytes: number, onLeave: (resident: R) => void) {
    this.#maxBytes = maxBytes;
    this.#onLeave = onLeave;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Pinned adapters of a group. */
  pinned(group: string): boolean {
    for (const { resident, pins } of this.#entries.values()) {
      if (pins > 0 && resident.group === group) return true;
    }
    return false;
  }

  /** The adapter, pinned until `release` is called, or undefined where it is not in memory. */
  pin(bundle: string): { resident: R; release(): void } | undefined {
    const entry = this.#entries.get(bundle);
    if (!entry) return undefined;
    this.#entries.delete(bundle);
    this.#entries.set(bundle, entry);
    entry.pins++;
    return { resident: entry.resident, release: () => this.#release(entry) };
  }

  add(resident: R): void {
    this.#entries.set(resident.bundle, { resident, pins: 0, gone: false });
    this.#bytes += resident.bytes;
    for (const { resident: oldest, pins } of this.#entries.values()) {
      if (this.#bytes <= this.#maxBytes) return;
      if (pins === 0 && oldest !== resident) this.remove(oldest.bundle);
    }
  }

  remove(bundle: string): void {
    const entry = this.#entries.get(bundle);
    if (!entry) return;
    this.#entries.delete(bundle);
    this.#bytes -= entry.resident.bytes;
    entry.gone = true;
    if (entry.pins === 0) this.#onLeave(entry.resident);
  }

  /** Forgets a group's adapters without a word: their worker is gone. */
  forget(group: string): void {
    for (const [bundle, entry] of this.#entries) {
      if (entry.resident.group !== group) continue;
      this.#entries.delete(bundle);
      this.#bytes -= entry.resident.bytes;
    }
  }

  #release(entry: Entry<R>): void {
    entry.pins--;
    if (entry.gone && entry.pins === 0) this.#onLeave(entry.resident);
  }
}
