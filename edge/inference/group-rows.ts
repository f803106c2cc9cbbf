import type { LiveNode } from '../base-models.ts';
import type { ServableAdapter } from '../db/adapters.ts';
import type { NodeTraffic } from '../nodes/node-traffic.ts';
import { assignNodes, nodesWith } from '../nodes/pick-node.ts';

/** A text of a request and the adapter that answers it. */
export interface Row {
  /** Index of the text in the request. */
  index: number;
  text: string;
  adapter: ServableAdapter;
}

/** Rows that one node answers in one call. */
export interface Group {
  /** Undefined where no node can answer them. */
  node: LiveNode | undefined;
  /** The nodes that can answer all rows, including nodes that fail at the moment. */
  candidates: readonly LiveNode[];
  rows: Row[];
}

/**
 * Groups rows into calls. Rows that the same nodes can answer and that go to the same node share a call, in the request's order and
 * whatever their base models.
 */
export function groupByNode(rows: readonly Row[], nodes: readonly LiveNode[], traffic: NodeTraffic): Group[] {
  const shares = [...Map.groupBy(rows, ({ adapter }) => adapter.bundle)].map(([bundle, its]) => {
    const able = nodesWith(nodes, its[0]!.adapter);
    return { bundle, able, candidates: traffic.available(able), rows: its.length };
  });
  const picked = assignNodes(shares, ({ id }) => traffic.load(id));
  const groups = new Map<string, Group>();
  const groupOf = new Map<string, Group>();
  for (const [i, { bundle, able }] of shares.entries()) {
    const node = picked[i];
    const key = [node, ...able].map((each) => each?.id).join(' ');
    const group = groups.get(key) ?? { node, candidates: able, rows: [] };
    groups.set(key, group);
    groupOf.set(bundle, group);
  }
  for (const row of rows) groupOf.get(row.adapter.bundle)!.rows.push(row);
  return [...groups.values()];
}
