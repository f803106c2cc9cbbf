/** A base model as a node has it. */
export interface BaseModel {
  id: string;
  sha256: string;
  precisions: string[];
  maxLength: number;
}

/** A node that has been heard of lately. */
export interface LiveNode {
  id: string;
  url: string;
  baseModels: BaseModel[];
}

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

/**
 * The node an adapter is warm on, by rendezvous hashing (Thaler and Ravishankar 1998): each adapter has its own order
 * of the nodes, so a node that comes or goes moves only the adapters it wins or held. Undefined for no node.
 */
export function pickNode(nodes: readonly LiveNode[], bundle: string): LiveNode | undefined {
  let best: LiveNode | undefined;
  let highest = -1;
  for (const node of nodes) {
    const score = hash(`${bundle} ${node.id}`);
    if (score > highest || (score === highest && node.id < best!.id)) {
      best = node;
      highest = score;
    }
  }
  return best;
}

/** 32-bit FNV-1a, then murmur3's finalizer, without which ids that differ in the last letter fare alike. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
