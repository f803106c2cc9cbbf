import type { LiveNode } from '../base-models.ts';
import { unixNow } from '../clock.ts';
import type { Db } from '../db/client.ts';
import { liveNodes } from '../db/nodes.ts';
import { isolate } from './isolate.ts';

const KEY = 'live';

/** The live nodes, as of some seconds ago: classifications are many, nodes come and go rarely. */
export async function recentNodes(db: Db): Promise<LiveNode[]> {
  const seen = isolate.nodes.get(KEY);
  if (seen) return seen;
  const nodes = await liveNodes(db, unixNow());
  // The first node to come is not to wait for the isolate to forget that there was none.
  if (nodes.length > 0) isolate.nodes.set(KEY, nodes);
  return nodes;
}
