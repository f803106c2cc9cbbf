/** Most adapters that may wait to be loaded ahead of their use. */
const MAX_WAITING = 1000;
/** Most loads at once, so that loads that somebody waits for find room beside them. */
const MAX_LOADS = 4;

export interface WarmerOptions {
  load(bundle: string): Promise<void>;
  onFailure(bundle: string, error: unknown): void;
  /** Resolves after the pause between two loads: nobody waits for them, and runs want the cores. */
  rest(): Promise<void>;
}

/** Loads adapters that nobody waits for yet, a few at a time. */
export class Warmer {
  readonly #options: WarmerOptions;
  readonly #waiting = new Set<string>();
  readonly #loads = new Set<Promise<void>>();
  #working = false;

  constructor(options: WarmerOptions) {
    this.#options = options;
  }

  /** Adds as many bundles as it has room for, in order, and returns their number. */
  add(bundles: readonly string[]): number {
    let accepted = 0;
    for (const bundle of bundles) {
      if (this.#waiting.size >= MAX_WAITING && !this.#waiting.has(bundle)) break;
      this.#waiting.add(bundle);
      accepted++;
    }
    if (!this.#working) void this.#work();
    return accepted;
  }

  /** Forgets the waiting bundles. */
  stop(): void {
    this.#waiting.clear();
  }

  async #work(): Promise<void> {
    this.#working = true;
    while (this.#waiting.size > 0) {
      const [bundle] = this.#waiting;
      this.#waiting.delete(bundle!);
      this.#begin(bundle!);
      await this.#options.rest();
      while (this.#loads.size >= MAX_LOADS) await Promise.race(this.#loads);
    }
    this.#working = false;
  }

  #begin(bundle: string): void {
    const { load, onFailure } = this.#options;
    const loading = load(bundle)
      .catch((error) => onFailure(bundle, error))
      .finally(() => this.#loads.delete(loading));
    this.#loads.add(loading);
  }
}
