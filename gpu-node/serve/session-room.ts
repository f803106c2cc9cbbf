import { unlessAborted } from './deadline.ts';
import { Tier } from './tier.ts';

/** A group whose sessions stay until it is released. */
export interface Hold {
  release(): void;
}

interface Entry {
  readonly key: string;
  holds: number;
  /** True if others serve its adapters now: it takes no more rows, and leaves when its last are answered. */
  isRetired: boolean;
}

interface Waiter {
  readonly key: string;
  readonly bytes: number;
  resolve(hold: Hold): void;
}

/**
 * Decides which groups of adapters have sessions, within a number of bytes. It is pure policy: the group used longest ago gives way, but
 * never one that is being built or held, i.e. has rows waiting or running.
 * A request that finds no room waits, first come, first served, and holds nothing itself. For the first the group that has been here
 * longest takes no more rows and leaves when its last are answered, so that more kinds of adapters than fit are served in turns. One group
 * is let in however much it takes.
 */
export class SessionRoom {
  readonly #capacity: number;
  readonly #tier: Tier;
  readonly #onLeave: (key: string) => void;
  /** Groups, the longest present first. */
  readonly #entries = new Map<string, Entry>();
  #waiting: Waiter[] = [];
  /** Groups that take no more rows. */
  readonly #closing = new Set<string>();

  /** `onLeave` closes the sessions of a group. */
  constructor(maxBytes: number, onLeave: (key: string) => void) {
    this.#capacity = maxBytes;
    this.#tier = new Tier({ capacity: maxBytes });
    this.#onLeave = onLeave;
  }

  /** Number of groups with sessions. */
  get size(): number {
    return this.#entries.size;
  }

  /** Bytes of all groups; a group larger than the room counts as the whole room. */
  get bytes(): number {
    return this.#tier.used;
  }

  /** Holds a group; undefined if it has no sessions, is retired, or makes way for one that waits. */
  hold(key: string): Hold | undefined {
    const entry = this.#entries.get(key);
    return entry && !entry.isRetired && !this.#closing.has(key) ? this.#held(entry) : undefined;
  }

  /**
   * Adds a group that has no sessions, or was retired, and holds it. Undefined if others wait, or it does not fit beside groups that are
   * held or must `stay`.
   */
  admit(key: string, bytes: number, stay: (key: string) => boolean = () => false): Hold | undefined {
    if (this.#waiting.length > 0) return undefined;
    this.#renew(key);
    return this.hold(key) ?? this.#admit(key, bytes, stay);
  }

  /** Retires a group whose adapters others serve from now on: it leaves at once, or when it is no longer held. */
  retire(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    entry.isRetired = true;
    this.#leaveIfRetired(entry);
  }

  /** Holds a group as soon as there is room for its sessions. The caller must hold no other. */
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

  /** Notes a group's real size; groups used longest ago leave if it is too much. */
  resize(key: string, bytes: number): void {
    if (!this.#entries.has(key)) return;
    this.#tier.resize(key, this.#counted(bytes));
    this.#trim();
  }

  /** Removes a group whose sessions ended unexpectedly. */
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

  /** Renews a present group whose turn has come: it need not leave, and is the last to make way. */
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

  /** Removes groups that could not leave while they were held. */
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

  /** Lets waiting groups in while there is room. For the next one the group that has been here longest takes no more rows. */
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
