export interface ExpiringCacheOptions {
  ttlMs: number;
  /** Most entries; beyond it the oldest goes. */
  max: number;
  /** Current time in milliseconds. */
  now?: () => number;
}

/** A bounded map whose entries expire, for data that an isolate keeps for seconds between requests. */
export class ExpiringCache<V> {
  readonly #options: Required<ExpiringCacheOptions>;
  /** Entries in order of expiry, because all live equally long. */
  readonly #entries = new Map<string, { value: V; until: number }>();

  constructor({ now = Date.now, ...limits }: ExpiringCacheOptions) {
    this.#options = { now, ...limits };
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (!entry || entry.until > this.#options.now()) return entry?.value;
    this.#entries.delete(key);
    return undefined;
  }

  set(key: string, value: V): void {
    const { ttlMs, max, now } = this.#options;
    this.#entries.delete(key);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size < max) break;
      this.#entries.delete(oldest);
    }
    this.#entries.set(key, { value, until: now() + ttlMs });
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }
}
