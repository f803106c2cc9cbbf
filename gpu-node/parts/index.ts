import type { LinearLayer, Sites } from '../models/sites.ts';
import { lowRank } from './low-rank.ts';
import type { LinearPart, PartNumbers, RowsOf, Stack } from './part.ts';
import { reach, scale } from './vectors.ts';

/** Every way in which methods change linear layers. */
export const LINEAR_PARTS = { lowRank, scale, reach } satisfies Readonly<Record<string, LinearPart>>;
export type LinearPartName = keyof typeof LINEAR_PARTS;
export const LINEAR_PART_NAMES = Object.keys(LINEAR_PARTS) as LinearPartName[];

/** The head is a part too: every adapter brings its own, and it stands behind the encoder. */
export type PartName = LinearPartName | 'head';

/**
 * What a session can apply, or an adapter needs: for each part the names of the layers it acts on, in the order of the forward pass. A
 * part that is absent acts nowhere.
 */
export type Plan = { readonly [P in LinearPartName]?: readonly string[] };

/** An adapter's numbers in memory, ready to be put into stacks; a part that it does not use is absent. */
export type ServedAdapter = { readonly head: PartNumbers } & {
  readonly [P in LinearPartName]?: PartNumbers;
};

/** The stacks of each of a plan's parts, in the order of the table. */
export function stacksOf(plan: Plan, layers: readonly LinearLayer[]): [LinearPartName, Stack[]][] {
  return acting(plan).map(({ name, part, places }) => {
    const changed = layers.filter((layer) => places.has(layer.name));
    return [name, changed.flatMap((layer) => part.stacks(layer))];
  });
}

/** The sites of a serving graph: what each row's numbers do where its plan's parts act. */
export function servingSites(plan: Plan, rowsOf: RowsOf): Sites {
  const parts = acting(plan);
  return {
    linear: ({ layer }) => {
      const changes = parts.filter(({ places }) => places.has(layer.name));
      return Object.assign({}, ...changes.map(({ part }) => part.change(layer, rowsOf)));
    },
  };
}

function acting(plan: Plan) {
  return LINEAR_PART_NAMES.flatMap((name) => {
    const places = new Set(plan[name]);
    return places.size > 0 ? [{ name, part: LINEAR_PARTS[name] as LinearPart, places }] : [];
  });
}
