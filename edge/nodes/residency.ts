import type { LiveNode } from '../base-models.ts';
import { type AdapterRow, findServable, type ServableAdapter, viewAdapter } from '../db/adapters.ts';
import type { Db } from '../db/client.ts';
import type { JobRow } from '../db/jobs.ts';
import { isolate } from './isolate.ts';
import { recentNodes } from './live-nodes.ts';
import type { NodeClient } from './node-client.ts';
import { nodesWith, rankNodes } from './pick-node.ts';

/**
 * Nodes asked, from the first of an adapter's order. The adapter spreads further only under a load that a handful of nodes cannot carry.
 */
const ASKED_NODES = 30;
/** Nodes tried in turn: the first may be gone, but more than three are not worth the wait. */
const WARMED_ATTEMPTS = 3;

/** The nodes that hold an adapter, in its order; none if it is not ready. */
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

/** Asks the nodes of an adapter's order in turn to load it. Returns the first that agrees, or undefined. */
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

/** Warms a newly trained adapter as far as that succeeds: nobody waits for it. */
export async function prefetch(
  db: Db,
  client: NodeClient,
  { tenant, adapterName, adapterVersion }: JobRow,
): Promise<void> {
  try {
    const [adapter] = await findServable(db, tenant, [`${adapterName}@${adapterVersion}`]);
    if (adapter) await warmAdapter(db, client, adapter);
  } catch {
    // The first classification will load it.
  }
}
