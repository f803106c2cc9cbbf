import type { BaseModel, LiveNode } from '../base-models.ts';

/** What a classification needs of a node. */
export interface Wanted {
  bundle: string;
  baseModel: string;
  baseModelSha256: string;
  basePrecision: string;
}

/** The nodes that have the very base model an adapter was trained on, in the precision it was trained on. */
export function nodesWith(
  nodes: readonly LiveNode[],
  { baseModel, baseModelSha256, basePrecision }: Omit<Wanted, 'bundle'>,
) {
  const isIt = ({ id, sha256, precisions }: BaseModel) =>
    id === baseModel && sha256 === baseModelSha256 && precisions.includes(basePrecision);
  return nodes.filter((node) => node.baseModels.some(isIt));
}

/** Rows that a node answers in a batch: below them none is crowded, and adapters stay where they are warm. */
const UNCROWDED_ROWS = 32;
/** How much more than the mean a node may have; a smaller share moves more adapters, a larger one evens out less. */
const CROWDING = 1.25;

/** Calls of one request: as many as a Worker may have waiting for an answer at once. */
const MAX_CALLS = 6;

/** Rows that a node has to answer. */
export type Load = (node: LiveNode) => number;

/**
 * The nodes in an adapter's own order, by rendezvous hashing (Thaler and Ravishankar 1998): it is warm on the first, and
 * a node that comes or goes moves only the adapters it wins or held.
 */
export function rankNodes(nodes: readonly LiveNode[], bundle: string): LiveNode[] {
  const key = hash(bundle);
  const scored = nodes.map((node) => ({ node, score: scoreOf(key, node) }));
  return scored.sort((a, b) => b.score - a.score || (a.node.id < b.node.id ? -1 : 1)).map(({ node }) => node);
}

/**
 * The first node in an adapter's order that is not crowded (Mirrokni, Thorup and Zadimoghaddam 2018, "Consistent Hashing
 * with Bounded Loads"): an adapter that is hot spreads over the next ones of its order. Undefined for no node.
 */
export function pickNode(
  nodes: readonly LiveNode[],
  bundle: string,
  load: Load = () => 0,
): LiveNode | undefined {
  const bound = crowded(nodes, load);
  const key = hash(bundle);
  let best: LiveNode | undefined;
  let highest = -1;
  for (const node of nodes) {
    const score = scoreOf(key, node);
    const wins = score > highest || (score === highest && node.id < best!.id);
    if (wins && load(node) < bound) {
      best = node;
      highest = score;
    }
  }
  return best;
}

/** Rows from which a node is crowded; below it there is always one, that of the fewest. */
function crowded(nodes: readonly LiveNode[], load: Load): number {
  const total = nodes.reduce((sum, node) => sum + load(node), 0);
  return Math.max(UNCROWDED_ROWS, (CROWDING * (total + 1)) / nodes.length);
}

/** An adapter's share of a request. */
export interface Share {
  bundle: string;
  rows: number;
  /** The nodes that can answer it. */
  candidates: readonly LiveNode[];
}

/**
 * A node for each share of a request. A batch is split over its adapters' own nodes, because to load an adapter costs
 * more than a call, and the calls run side by side; but over no more nodes than can: the shares of the others go to
 * whichever of the six with the most rows is first in their own order. Undefined for a share without a node.
 */
export function assignNodes(shares: readonly Share[], load: Load): (LiveNode | undefined)[] {
  const given = new Map<LiveNode, number>();
  const withGiven: Load = (node) => load(node) + (given.get(node) ?? 0);
  const picked = shares.map(({ bundle, rows, candidates }) => {
    const node = pickNode(candidates, bundle, withGiven);
    if (node) given.set(node, (given.get(node) ?? 0) + rows);
    return node;
  });
  if (given.size <= MAX_CALLS) return picked;
  const most = [...given].sort((a, b) => b[1] - a[1]).slice(0, MAX_CALLS);
  const kept = new Set(most.map(([node]) => node));
  return shares.map(({ bundle, candidates }, i) => {
    if (kept.has(picked[i]!)) return picked[i];
    const able = candidates.filter((node) => kept.has(node));
    return pickNode(able, bundle) ?? picked[i];
  });
}

const nodeKeys = new WeakMap<LiveNode, number>();

/** Both hashed apart, and then mixed: a request has many adapters, and each asks about every node. */
function scoreOf(key: number, node: LiveNode): number {
  let nodeKey = nodeKeys.get(node);
  if (nodeKey === undefined) {
    nodeKey = hash(node.id);
    nodeKeys.set(node, nodeKey);
  }
  return mix(key ^ nodeKey);
}

/** 32-bit FNV-1a, mixed. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return mix(h);
}

/** Murmur3's finalizer, without which ids that differ in the last letter fare alike. */
function mix(value: number): number {
  let h = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
