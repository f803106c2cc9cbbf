import { unlessAborted } from './deadline.ts';
import { Tier } from './tier.ts';

/** A group that keeps its sessions until it is released. */
export interface Hold {
  release(): void;
}

interface Entry {
  readonly key: string;
  holds: number;
  /** Others serve its adapters now: it takes no more rows, and leaves when its last are answered. */
  isRetired: boolean;
}

interface Waiter {
  readonly key: string;
  readonly bytes: number;
  resolve(hold: Hold): void;
}

/**
 * Which groups of adapters have sessions, within so many bytes. Pure policy: the group used longest ago gives way, but none that is held,
 * i.e. has rows waiting or running, or is being built. Who finds no room waits, first come, first served, holding nothing itself; for it
 * the group that has been here longest takes no more rows and leaves when its last are answered, so that more sorts of adapters than fit are
 * served in turns. One group is let in whatever it takes.
 */
export class SessionRoom {
  readonly #capacity: number;
  readonly #tier: Tier;
  readonly #onLeave: (key: string) => void;
  /** The longest here first. */
  readonly #entries = new Map<string, Entry>();
  #waiting: Waiter[] = [];
  /** Those that take no more rows. */
  readonly #closing = new Set<string>();

  /** `onLeave` closes the sessions of a group. */
  constructor(maxBytes: number, onLeave: (key: string) => void) {
    this.#capacity = maxBytes;
    this.#tier = new Tier({ capacity: maxBytes });
    this.#onLeave = onLeave;
  }

  /** Groups that have sessions. */
  get size(): number {
    return this.#entries.size;
  }

  /** What they take, a group of more than there is room for counted as all of it. */
  get bytes(): number {
    return this.#tier.used;
  }

  /** The group, held; undefined where it has no sessions, is retired, or makes way for one that waits. */
  hold(key: string): Hold | undefined {
    const entry = this.#entries.get(key);
    return entry && !entry.isRetired && !this.#closing.has(key) ? this.#held(entry) : undefined;
  }

  /**
   * Takes a group in that has no sessions, or was retired, and holds it; undefined where others wait, or it does not fit beside those that
   * are held or must `stay`.
   */
  admit(key: string, bytes: number, stay: (key: string) => boolean = () => false): Hold | undefined {
    if (this.#waiting.length > 0) return undefined;
    this.#renew(key);
    return this.hold(key) ?? this.#admit(key, bytes, stay);
  }

  /** Lets a group go whose adapters others serve from now on: at once, or when it is held no more. */
  retire(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    entry.isRetired = true;
    this.#leaveIfRetired(entry);
  }

  /** The group, held as soon as there is room for its sessions. The caller must hold no other. */
  async wait(key: string, bytes: number, signal: AbortSignal): Promise<Hold> {
    const { promise, resolve } = Promise.withResolvers<Hold>();
    const waiter = { key, bytes, resolve };
    this.#waiting.push(waiter);
    this.#advance();
    try {
      return await unlessAborted(promise, signal);
    } catch (error) {
      if (this.#waiting.includes(waiter)) {
        this.#waiting = this.#waiting.filter((each) => each !== waiter);
        this.#advance();
      } else void promise.then((hold) => hold.release());
      throw error;
    }
  }

  /** Notes what a group turned out to take; those used longest ago leave where that is too much. */
  resize(key: string, bytes: number): void {
    if (!this.#entries.has(key)) return;
    this.#tier.resize(key, this.#counted(bytes));
    this.#trim();
  }

  /** A group's sessions ended unasked. */
  remove(key: string): void {
    if (!this.#entries.delete(key)) return;
    this.#tier.delete(key);
    this.#closing.delete(key);
    this.#advance();
  }

  readonly #isHeld = (key: string): boolean => this.#entries.get(key)!.holds > 0;

  #counted(bytes: number): number {
    return Math.min(bytes, this.#capacity);
  }

  #held(entry: Entry): Hold {
    entry.holds++;
    this.#tier.use(entry.key, false);
    let held = true;
    return {
      release: () => {
        if (!held) return;
        held = false;
        entry.holds--;
        if (entry.holds > 0 || this.#entries.get(entry.key) !== entry) return;
        this.#leaveIfRetired(entry);
        this.#trim();
        this.#advance();
      },
    };
  }

  #admit(key: string, bytes: number, stay: (key: string) => boolean = () => false): Hold | undefined {
    const leaving = this.#tier.add(key, this.#counted(bytes), (each) => this.#isHeld(each) || stay(each));
    if (!leaving) return undefined;
    const entry = { key, holds: 0, isRetired: false };
    this.#entries.set(key, entry);
    const hold = this.#held(entry);
    this.#leave(leaving);
    return hold;
  }

  /** A group that is here whose turn has come need not leave first, and is the last to make way. */
  #renew(key: string): void {
    this.#closing.delete(key);
    const entry = this.#entries.get(key);
    if (!entry) return;
    entry.isRetired = false;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
  }

  #leaveIfRetired({ key, holds, isRetired }: Entry): void {
    if (!isRetired || holds > 0) return;
    this.#tier.delete(key);
    this.#leave([key]);
  }

  /** What was held while it grew leaves now. */
  #trim(): void {
    while (this.#tier.used > this.#capacity) {
      const leaving = this.#tier.makeRoom(1, this.#isHeld);
      if (!leaving) return;
      this.#leave(leaving);
    }
  }

  #leave(keys: readonly string[]): void {
    for (const key of keys) {
      this.#entries.delete(key);
      this.#closing.delete(key);
      this.#onLeave(key);
    }
  }

  /** Lets in who waits, as far as there is room; for the next the one that has been here longest takes no more rows. */
  #advance(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const { key, bytes } = next;
      this.#renew(key);
      const hold = this.hold(key) ?? this.#admit(key, bytes);
      if (!hold) break;
      const same = this.#waiting.filter((each) => each.key === key);
      this.#waiting = this.#waiting.filter((each) => each.key !== key);
      for (const each of same) each.resolve(each === next ? hold : this.hold(key)!);
    }
    if (this.#waiting.length === 0) {
      this.#closing.clear();
      return;
    }
    const held = [...this.#entries.values()].filter(({ holds }) => holds > 0);
    const oldest = held.find((entry) => !this.#closing.has(entry.key));
    if (oldest && !held.some(({ key }) => this.#closing.has(key))) this.#closing.add(oldest.key);
  }
}
