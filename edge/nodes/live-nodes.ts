import type { LiveNode } from '../base-models.ts';
import { unixNow } from '../clock.ts';
import type { Db } from '../db/client.ts';
import { liveNodes } from '../db/nodes.ts';
import { isolate } from './isolate.ts';

const KEY = 'live';

/** The live nodes as of some seconds ago: classifications are many, and nodes come and go rarely. */
export async function recentNodes(db: Db): Promise<LiveNode[]> {
  const seen = isolate.nodes.get(KEY);
  if (seen) return seen;
  const nodes = await liveNodes(db, unixNow());
  // An empty list is not kept, so that the first node to come is found at once.
  if (nodes.length > 0) isolate.nodes.set(KEY, nodes);
  return nodes;
}
