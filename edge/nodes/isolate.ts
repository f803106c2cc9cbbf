import type { LiveNode } from '../base-models.ts';
import type { ServableAdapter } from '../db/adapters.ts';
import { ExpiringCache } from '../expiring-cache.ts';
import { NodeTraffic } from './node-traffic.ts';

/**
 * What an isolate keeps between requests: data alone. Nothing here is relied on to be true: a revoked key works on for
 * its five seconds, and a node refuses a resolution that is older than what it knows.
 */
export const isolate = {
  /** Tenants, by the hash of a key. */
  keys: new ExpiringCache<string>({ ttlMs: 5_000, max: 1_000 }),
  /** Ready adapters, by tenant and reference: some 25 MB where full. */
  adapters: new ExpiringCache<ServableAdapter>({ ttlMs: 600_000, max: 50_000 }),
  /** One entry, the nodes alive. Far below the time after which one is silent. */
  nodes: new ExpiringCache<LiveNode[]>({ ttlMs: 3_000, max: 1 }),
  traffic: new NodeTraffic(),
};
