import { ExpiringCache } from './expiring-cache.ts';

/** What a tenant used in one minute. */
export interface Used {
  requests: number;
  tokens: number;
}

export interface Sum {
  used: Used;
  /** Seconds until the minute ends. */
  resetsIn: number;
}

/** What an isolate has counted and not told yet. */
export interface Untold {
  minute: number;
  counted: Used;
}

/** Milliseconds between an isolate's notes of what it counted. Within them isolates do not know of each other. */
const SYNC_MS = 5_000;
const MAX_TENANTS = 10_000;
const MINUTE_MS = 60_000;

interface Window {
  minute: number;
  /** Of all isolates, as of the last note. */
  told: Used;
  untold: Used;
  syncedAt: number;
}

/**
 * Counts what tenants use in a minute of the clock. An isolate counts by itself, and every five seconds notes its part in the database, which
 * answers with the sum: so a request asks nobody, and isolates together exceed a limit by no more than they take in between.
 */
export class RateMeter {
  readonly #now: () => number;
  readonly #windows: ExpiringCache<Window>;

  /** @param now milliseconds of the wall clock: isolates count the same minutes */
  constructor(now: () => number = Date.now) {
    this.#now = now;
    this.#windows = new ExpiringCache<Window>({ ttlMs: 2 * MINUTE_MS, max: MAX_TENANTS, now });
  }

  /** What the tenant used in this minute, as far as it is known here. */
  sum(tenant: string): Sum {
    const { told, untold, minute } = this.#window(tenant);
    const used = { requests: told.requests + untold.requests, tokens: told.tokens + untold.tokens };
    return { used, resetsIn: Math.max(1, Math.ceil(((minute + 1) * MINUTE_MS - this.#now()) / 1000)) };
  }

  add(tenant: string, { requests = 0, tokens = 0 }: Partial<Used>): void {
    const { untold } = this.#window(tenant);
    untold.requests += requests;
    untold.tokens += tokens;
  }

  /** Takes what is to be noted now, or undefined where it is too early. */
  takeUntold(tenant: string): Untold | undefined {
    const window = this.#window(tenant);
    if (this.#now() - window.syncedAt < SYNC_MS) return undefined;
    const counted = window.untold;
    window.told = {
      requests: window.told.requests + counted.requests,
      tokens: window.told.tokens + counted.tokens,
    };
    window.untold = { requests: 0, tokens: 0 };
    window.syncedAt = this.#now();
    return { minute: window.minute, counted };
  }

  /** Takes the sum over all isolates in answer to a note. */
  learn(tenant: string, minute: number, sum: Used): void {
    const window = this.#window(tenant);
    if (window.minute === minute) window.told = sum;
  }

  clear(): void {
    this.#windows.clear();
  }

  #window(tenant: string): Window {
    const minute = Math.floor(this.#now() / MINUTE_MS);
    const known = this.#windows.get(tenant);
    if (known?.minute === minute) return known;
    const none = { requests: 0, tokens: 0 };
    const fresh = { minute, told: none, untold: { ...none }, syncedAt: Number.NEGATIVE_INFINITY };
    this.#windows.set(tenant, fresh);
    return fresh;
  }
}
