import type { LiveNode } from '../base-models.ts';
import { type AdapterRow, findServable, type ServableAdapter, viewAdapter } from '../db/adapters.ts';
import type { Db } from '../db/client.ts';
import type { JobRow } from '../db/jobs.ts';
import { isolate } from './isolate.ts';
import { recentNodes } from './live-nodes.ts';
import type { NodeClient } from './node-client.ts';
import { nodesWith, rankNodes } from './pick-node.ts';

/** The first nodes of an adapter's order, beyond which it spreads only under a load that a handful of nodes cannot carry. */
const ASKED_NODES = 30;
/** The first that does not take it may be gone; one that has to be told thrice is not worth the wait. */
const WARMED_ATTEMPTS = 3;

/** The nodes that have an adapter at hand, in its order; none where it is not ready. */
export async function residentOn(db: Db, client: NodeClient, row: AdapterRow) {
  const { bundle, baseModel, baseModelSha256 } = row.adapter;
  if (bundle === null) return [];
  const basePrecision = viewAdapter(row).base_precision;
  const able = nodesWith(await recentNodes(db), { baseModel, baseModelSha256, basePrecision });
  const asked = rankNodes(able, bundle).slice(0, ASKED_NODES);
  const tiers = await Promise.all(asked.map((node) => client.tierOf(node, bundle)));
  return asked.flatMap(({ id }, i) => {
    const tier = tiers[i]!;
    return tier === null ? [] : [{ node: id, tier }];
  });
}

/** Tells the first node of an adapter's order that takes it to load it. Undefined where none does. */
export async function warmAdapter(
  db: Db,
  client: NodeClient,
  adapter: ServableAdapter,
): Promise<LiveNode | undefined> {
  const able = isolate.traffic.available(nodesWith(await recentNodes(db), adapter));
  for (const node of rankNodes(able, adapter.bundle).slice(0, WARMED_ATTEMPTS)) {
    if (await client.warm(node, [adapter.bundle])) return node;
  }
  return undefined;
}

/** Warms what a job has trained, as far as it goes: nobody waits for it. */
export async function prefetch(
  db: Db,
  client: NodeClient,
  { tenant, adapterName, adapterVersion }: JobRow,
): Promise<void> {
  try {
    const [adapter] = await findServable(db, tenant, [`${adapterName}@${adapterVersion}`]);
    if (adapter) await warmAdapter(db, client, adapter);
  } catch {
    // The first classification loads it.
  }
}
