import { unixNow } from './clock.ts';
import type { Db } from './db/client.ts';
import { liveNodes } from './db/nodes.ts';
import type { LiveNode } from './pick-node.ts';

/** Milliseconds that an isolate goes on with the nodes it has seen; far below the time after which one is silent. */
const TTL_MS = 1_000;

let seen: { nodes: LiveNode[]; until: number } | undefined;

/** The live nodes, as of at most a second ago: classifications are many, nodes come and go rarely. */
export async function recentNodes(db: Db): Promise<LiveNode[]> {
  if (seen && seen.until > Date.now() && seen.nodes.length > 0) return seen.nodes;
  const nodes = await liveNodes(db, unixNow());
  seen = { nodes, until: Date.now() + TTL_MS };
  return nodes;
}

/** For the isolate that has just changed them. */
export function forgetRecentNodes(): void {
  seen = undefined;
}
