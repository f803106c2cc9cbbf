import { HEARTBEAT_SECONDS } from '../../shared/job-state.ts';

const MONTH_SECONDS = 30 * 24 * 3600;
/** Milliseconds of a Worker's processor per request. */
const CPU_MS = 2;
/** Files of a bundle: each is one call to the edge, one read of D1 and one of R2. Its manifest is one more call, and read of D1. */
const BUNDLE_FILES = 3;
/** D1 rows that a resolution reads: a version and its name's highest, the newest change and a pending one if any. */
const RESOLUTION_ROWS = 4;
/** D1 rows that an idle node's heartbeat reads, and the share of heartbeats that write `last_seen`. */
const HEARTBEAT_ROWS = 8;
const HEARTBEAT_WRITES = 0.5;

/** Dollars per million, beyond what a month includes (Workers Paid). */
const PRICES = {
  request: { included: 10e6, price: 0.3 },
  cpuMs: { included: 30e6, price: 0.02 },
  d1Read: { included: 25e9, price: 0.001 },
  d1Write: { included: 50e6, price: 1 },
  r2Read: { included: 10e6, price: 0.36 },
};
const SUBSCRIPTION = 5;

/** The edge's work for a stretch of requests. */
export interface Usage {
  requests: number;
  /** Resolutions of adapters that an isolate did not remember. */
  resolutions: number;
  /** Downloads of bundles that a node did not have. */
  downloads: number;
}

/** Operations per request, and the price of a month of them and of the nodes' heartbeats. */
export function costs(
  usage: Usage,
  { rate, nodes }: { rate: number; nodes: number },
): Record<string, string> {
  const resolutions = usage.resolutions / usage.requests;
  const downloads = (BUNDLE_FILES * usage.downloads) / usage.requests;
  const requests = rate * MONTH_SECONDS;
  const beats = (nodes * MONTH_SECONDS) / HEARTBEAT_SECONDS;
  const calls = requests * (1 + downloads) + beats;
  const parts = {
    requests: bill(PRICES.request, calls),
    processor: bill(PRICES.cpuMs, calls * CPU_MS),
    'D1 reads': bill(
      PRICES.d1Read,
      requests * (resolutions * RESOLUTION_ROWS + downloads) + beats * HEARTBEAT_ROWS,
    ),
    'D1 writes': bill(PRICES.d1Write, beats * HEARTBEAT_WRITES),
    'R2 reads': bill(PRICES.r2Read, requests * downloads),
  };
  const total = Object.values(parts).reduce((sum, part) => sum + part, SUBSCRIPTION);
  const perSecond = rate * (resolutions + downloads);
  return {
    'D1 queries': `${(resolutions + downloads).toFixed(3)}, ${Math.round(perSecond)} a second`,
    'D1 writes': `0; ${Math.round((nodes / HEARTBEAT_SECONDS) * HEARTBEAT_WRITES)} a second of heartbeats`,
    'R2 reads': downloads.toFixed(3),
    'a month': `$${Math.round(total)}: ${Object.entries(parts)
      .map(([name, part]) => `${name} $${Math.round(part)}`)
      .join(', ')}`,
  };
}

function bill({ included, price }: { included: number; price: number }, amount: number): number {
  return (Math.max(0, amount - included) / 1e6) * price;
}
