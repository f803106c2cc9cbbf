import type { Architecture } from '../models/model.ts';
import { composeSites, type Sites } from '../models/sites.ts';
import { bottleneck } from './bottleneck.ts';
import { gate } from './gate.ts';
import { keysValues } from './keys-values.ts';
import { lowRank } from './low-rank.ts';
import type { Part, PartNumbers, RowsOf, Stack } from './part.ts';
import { turn } from './turn.ts';
import { gain, normShift, reach, shift } from './vectors.ts';
import { virtualTokens } from './virtual-tokens.ts';

/** Every way in which methods change an encoder. */
export const PARTS = {
  lowRank,
  reach,
  gain,
  turn,
  shift,
  normShift,
  virtualTokens,
  keysValues,
  bottleneck,
  gate,
} satisfies Readonly<Record<string, Part>>;
export type PartName = keyof typeof PARTS;
export const PART_NAMES = Object.keys(PARTS) as PartName[];

/** The head is put into stacks too: every adapter brings its own, and it stands behind the encoder. */
export type StackedName = PartName | 'head';

/**
 * What a session can apply, or an adapter needs: for each part the names of the places it acts on, in the order of the forward pass. A
 * part that is absent acts nowhere.
 */
export type Plan = { readonly [P in PartName]?: readonly string[] };

/** An adapter's numbers in memory, by part; a part that it does not use is absent. */
export type ServedParts = { readonly [P in PartName]?: PartNumbers };

/** The same with its head, ready to be put into stacks. */
export type ServedAdapter = ServedParts & { readonly head: PartNumbers };

/** The stacks of each of a plan's parts, in the order of the table. */
export function stacksOf(plan: Plan, architecture: Architecture): [PartName, readonly Stack[]][] {
  return acting(plan).map(({ name, part, places }) => [name, part.stacks(places, architecture)]);
}

/** The sites of a serving graph: what each row's numbers do where its plan's parts act. */
export function servingSites(plan: Plan, rowsOf: RowsOf, architecture: Architecture): Sites {
  return composeSites(acting(plan).map(({ part, places }) => part.sites(places, rowsOf, architecture)));
}

/** Why the base model's own weights cannot do what a plan does; undefined where they can. */
export function whyUnmergeable(plan: Plan): string | undefined {
  return acting(plan).find(({ part }) => part.unmergeable !== null)?.part.unmergeable ?? undefined;
}

function acting(plan: Plan) {
  return PART_NAMES.flatMap((name) => {
    const places = new Set(plan[name]);
    return places.size > 0 ? [{ name, part: PARTS[name] as Part, places }] : [];
  });
}
