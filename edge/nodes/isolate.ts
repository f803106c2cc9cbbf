import type { LiveNode } from '../base-models.ts';
import type { ServableAdapter } from '../db/adapters.ts';
import type { ClientKey } from '../db/api-keys.ts';
import { ExpiringCache } from '../expiring-cache.ts';
import { RateMeter } from '../rate-meter.ts';
import { NodeTraffic } from './node-traffic.ts';

/**
 * Data that an isolate keeps between requests. Nothing relies on it being up to date: a revoked key works for its five seconds, and a node
 * refuses a resolution older than what it knows.
 */
export const isolate = {
  /** Clients' keys by their hash. */
  keys: new ExpiringCache<ClientKey>({ ttlMs: 5_000, max: 1_000 }),
  /** Ready adapters by tenant and reference. */
  adapters: new ExpiringCache<ServableAdapter>({ ttlMs: 600_000, max: 50_000 }),
  /** One entry: the live nodes. It expires long before a node counts as silent. */
  nodes: new ExpiringCache<LiveNode[]>({ ttlMs: 3_000, max: 1 }),
  /** What tenants with a limit use in this minute. */
  rates: new RateMeter(),
  traffic: new NodeTraffic(),
};
