/** Milliseconds per text, as measured for batches of 32 texts (bench/README.md). */
const TEXT_MS = 7.2;
/** Milliseconds until an adapter is in its slot: from the node's disk, and through the edge. */
const LOAD_MS = { disk: 20, none: 250 };
/** Number of 300 KB adapters that fit into `WEFT_CACHE_BYTES`. */
const DISK_ADAPTERS = 14_000;

/** The tier in which an adapter was found. */
export type Tier = 'slot' | 'disk' | null;

/** The adapters of a tier. The least recently used one goes first. */
class Held {
  readonly #room: number;
  readonly #adapters = new Set<string>();

  constructor(room: number) {
    this.#room = room;
  }

  /** Uses an adapter, which is held from now on; returns whether it was held before. */
  use(adapter: string): boolean {
    const held = this.#adapters.delete(adapter);
    this.#adapters.add(adapter);
    if (this.#adapters.size > this.#room) this.#adapters.delete(this.#adapters.values().next().value!);
    return held;
  }
}

/** The state of a simulated node: the adapters it holds, and the length of its queue. */
export class SimulatedNode {
  readonly #slots: Held;
  readonly #disk = new Held(DISK_ADAPTERS);
  #freeAt = 0;

  constructor(slots: number) {
    this.#slots = new Held(slots);
  }

  /** Keeps an adapter on disk. */
  store(adapter: string): void {
    this.#disk.use(adapter);
  }

  /** Takes a text. An adapter is loaded while other texts are answered. */
  answer(adapter: string, now: number): { tier: Tier; doneAt: number } {
    const inSlot = this.#slots.use(adapter);
    const onDisk = this.#disk.use(adapter);
    const tier = inSlot ? 'slot' : onDisk ? 'disk' : null;
    this.#freeAt = Math.max(now, this.#freeAt) + TEXT_MS;
    return { tier, doneAt: this.#freeAt + (tier === 'slot' ? 0 : LOAD_MS[tier ?? 'none']) };
  }

  /** Number of waiting texts. */
  waiting(now: number): number {
    return Math.max(0, Math.ceil((this.#freeAt - now) / TEXT_MS));
  }
}
