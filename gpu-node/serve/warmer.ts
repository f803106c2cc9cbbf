/** Adapters that may wait to be loaded ahead of their use. */
const MAX_WAITING = 1000;
/** Loads at once, so that those that somebody waits for find room beside them. */
const MAX_LOADS = 4;

export interface WarmerOptions {
  load(bundle: string): Promise<void>;
  onFailure(bundle: string, error: unknown): void;
}

/** Loads adapters that nobody waits for yet, a few at a time. */
export class Warmer {
  readonly #options: WarmerOptions;
  readonly #waiting = new Set<string>();
  #loads = 0;

  constructor(options: WarmerOptions) {
    this.#options = options;
  }

  /** Takes in as many bundles as it has room for, in order, and says how many. */
  add(bundles: readonly string[]): number {
    let accepted = 0;
    for (const bundle of bundles) {
      if (this.#waiting.size >= MAX_WAITING && !this.#waiting.has(bundle)) break;
      this.#waiting.add(bundle);
      accepted++;
    }
    while (this.#loads < MAX_LOADS && this.#waiting.size > 0) void this.#work();
    return accepted;
  }

  /** Forgets what waits. */
  stop(): void {
    this.#waiting.clear();
  }

  async #work(): Promise<void> {
    this.#loads++;
    for (const bundle of this.#waiting) {
      this.#waiting.delete(bundle);
      await this.#options.load(bundle).catch((error) => this.#options.onFailure(bundle, error));
    }
    this.#loads--;
  }
}
