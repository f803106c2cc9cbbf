import type { BaseModel, LiveNode } from '../base-models.ts';

/** The base model and precision that a classification needs. */
export interface Wanted {
  bundle: string;
  baseModel: string;
  baseModelSha256: string;
  basePrecision: string;
}

/** The nodes that have exactly the base model and precision that an adapter was trained on. */
export function nodesWith(
  nodes: readonly LiveNode[],
  { baseModel, baseModelSha256, basePrecision }: Omit<Wanted, 'bundle'>,
) {
  const isIt = ({ id, sha256, precisions }: BaseModel) =>
    id === baseModel && sha256 === baseModelSha256 && precisions.includes(basePrecision);
  return nodes.filter((node) => node.baseModels.some(isIt));
}

/** Rows that a node answers in one batch. Below it no node is crowded, and adapters stay where they are warm. */
const UNCROWDED_ROWS = 32;
/** Largest load of a node, as a multiple of the mean; a smaller one moves more adapters, a larger one evens out less. */
const CROWDING = 1.25;

/** Most calls of one request: a Worker may have no more waiting for an answer at once. */
const MAX_CALLS = 6;

/** Rows that a node has to answer. */
export type Load = (node: LiveNode) => number;

/**
 * The nodes in an adapter's own order, by rendezvous hashing (Thaler and Ravishankar 1998). The adapter is warm on the first; a node that
 * comes or goes moves only the adapters that it wins or held.
 */
export function rankNodes(nodes: readonly LiveNode[], bundle: string): LiveNode[] {
  const key = hash(bundle);
  const scored = nodes.map((node) => ({ node, score: scoreOf(key, node) }));
  return scored.sort((a, b) => b.score - a.score || (a.node.id < b.node.id ? -1 : 1)).map(({ node }) => node);
}

/**
 * The first node in an adapter's order that is not crowded (Mirrokni, Thorup and Zadimoghaddam 2018, "Consistent Hashing with Bounded
 * Loads"), so that a hot adapter spreads over the next nodes of its order. Undefined if there is no node.
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

/** Rows from which a node is crowded. At least one node is below it: the one with the fewest rows. */
function crowded(nodes: readonly LiveNode[], load: Load): number {
  const total = nodes.reduce((sum, node) => sum + load(node), 0);
  return Math.max(UNCROWDED_ROWS, (CROWDING * (total + 1)) / nodes.length);
}

/** The rows of one adapter in a request. */
export interface Share {
  bundle: string;
  rows: number;
  /** The nodes that can answer them. */
  candidates: readonly LiveNode[];
}

/**
 * Picks a node for each share of a request. A batch is split over its adapters' own nodes, because loading an adapter costs more than a
 * call, and calls run side by side. At most six nodes are called: the other shares go to whichever of the six with the most rows is first
 * in their own order. A share without a node gets undefined.
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

/** A node's score for an adapter. Both are hashed apart and then mixed: a request has many adapters, and each asks about every node. */
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

/** Murmur3's finalizer; without it ids that differ in the last letter get similar scores. */
function mix(value: number): number {
  let h = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
