/** Milliseconds that a text takes: 32 of 64 tokens in 230 ms, on two cores (bench/README.md). */
const TEXT_MS = 7.2;
/** Milliseconds until an adapter is in its slot, from the node's disk and through the edge. */
const LOAD_MS = { disk: 20, none: 250 };
/** Adapters of 300 KB that `WEFT_CACHE_BYTES` has room for. */
const DISK_ADAPTERS = 14_000;

/** Where an adapter was found. */
export type Tier = 'slot' | 'disk' | null;

/** The adapters of a tier: the policy that decides which one goes. The least recently used. */
class Held {
  readonly #room: number;
  readonly #adapters = new Set<string>();

  constructor(room: number) {
    this.#room = room;
  }

  /** Uses an adapter, which is held from then on; returns whether it was before. */
  use(adapter: string): boolean {
    const held = this.#adapters.delete(adapter);
    this.#adapters.add(adapter);
    if (this.#adapters.size > this.#room) this.#adapters.delete(this.#adapters.values().next().value!);
    return held;
  }
}

/** A node as far as a simulation needs it: what it holds, and how long its queue is. */
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

  /** Takes a text; an adapter is loaded while others are answered. */
  answer(adapter: string, now: number): { tier: Tier; doneAt: number } {
    const inSlot = this.#slots.use(adapter);
    const onDisk = this.#disk.use(adapter);
    const tier = inSlot ? 'slot' : onDisk ? 'disk' : null;
    this.#freeAt = Math.max(now, this.#freeAt) + TEXT_MS;
    return { tier, doneAt: this.#freeAt + (tier === 'slot' ? 0 : LOAD_MS[tier ?? 'none']) };
  }

  /** Texts that wait. */
  waiting(now: number): number {
    return Math.max(0, Math.ceil((this.#freeAt - now) / TEXT_MS));
  }
}
