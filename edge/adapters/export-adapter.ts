import type { ServableAdapter } from '../db/adapters.ts';
import type { Db } from '../db/client.ts';
import { asProblem } from '../nodes/ask-node.ts';
import { isolate } from '../nodes/isolate.ts';
import { recentNodes } from '../nodes/live-nodes.ts';
import { noNode } from '../nodes/no-capacity.ts';
import { mayDoBetterElsewhere, type NodeClient } from '../nodes/node-client.ts';
import { nodesWith, rankNodes } from '../nodes/pick-node.ts';

/** As of classifications: the first node of an adapter's order, and another where that cannot. */
const ASKED_NODES = 2;

/**
 * A node's archive of an adapter merged into its base model, whose weights nodes alone have.
 * @throws {AppError} `no_capacity` without a node that answers, and what a node says of the adapter or of itself
 */
export async function exportAdapter(db: Db, client: NodeClient, adapter: ServableAdapter): Promise<Response> {
  const able = isolate.traffic.available(nodesWith(await recentNodes(db), adapter));
  let refusal: unknown = noNode(adapter.baseModel);
  for (const node of rankNodes(able, adapter.bundle).slice(0, ASKED_NODES)) {
    try {
      return await client.export(node, adapter.bundle);
    } catch (error) {
      if (!mayDoBetterElsewhere(error)) throw error;
      refusal = asProblem(error, adapter.baseModel);
    }
  }
  throw refusal;
}
