import type { ServableAdapter } from '../db/adapters.ts';
import type { Db } from '../db/client.ts';
import { asProblem } from '../nodes/ask-node.ts';
import { isolate } from '../nodes/isolate.ts';
import { recentNodes } from '../nodes/live-nodes.ts';
import { noNode } from '../nodes/no-capacity.ts';
import { mayDoBetterElsewhere, type NodeClient } from '../nodes/node-client.ts';
import { nodesWith, rankNodes } from '../nodes/pick-node.ts';

/** An export asks as many nodes as a classification: the first of the adapter's order, and one more where that cannot answer. */
const ASKED_NODES = 2;

/**
 * Asks a node to merge an adapter into its base model and returns the archive; only nodes have the base model's weights.
 * @throws {AppError} `no_capacity` where no node answers, and a node's own refusal of the adapter or of the call
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
