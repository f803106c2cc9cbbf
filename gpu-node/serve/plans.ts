import type { Plan } from '../parts/index.ts';

interface Known {
  /** Every part at every place, as `part place`. */
  readonly acts: ReadonlySet<string>;
  readonly name: string;
}

const known = new WeakMap<Plan, Known>();

function about(plan: Plan): Known {
  const before = known.get(plan);
  if (before) return before;
  const acts = Object.entries(plan).flatMap(([part, places]) => places.map((place) => `${part} ${place}`));
  const sorted = Object.entries(plan)
    .filter(([, places]) => places.length > 0)
    .map(([part, places]) => [part, ...[...places].sort()].join(','));
  const found = { acts: new Set(acts), name: sorted.sort().join(' ') };
  known.set(plan, found);
  return found;
}

/** A plan's name, equal for plans of the same parts at the same places alone. */
export function planName(plan: Plan): string {
  return about(plan).name;
}

/** Number of places, over all parts: what a session of this plan takes beside its base model is about in proportion to it. */
export function planSize(plan: Plan): number {
  return about(plan).acts.size;
}

/** Whether a session of `plan` can serve an adapter of `other`: it can apply every part at every place that this one needs. */
export function covers(plan: Plan, other: Plan): boolean {
  const { acts } = about(plan);
  const needed = about(other).acts;
  return needed.size <= acts.size && [...needed].every((act) => acts.has(act));
}

/** The smallest plan that covers all of these. */
export function unionOf(plans: readonly Plan[]): Plan {
  const places = new Map<string, Set<string>>();
  for (const [part, each] of plans.flatMap((plan) => Object.entries(plan))) {
    places.set(part, new Set([...(places.get(part) ?? []), ...each]));
  }
  return Object.fromEntries([...places].map(([part, each]) => [part, [...each]]));
}

/** What a choice of sessions is made from. */
export interface Choosable {
  readonly plan: Plan;
  /** Whether it could answer now; others are still being built. */
  readonly isOpen: boolean;
}

/** The sessions that can serve an adapter of this plan, the best first: those that are open, and of these the smallest. */
export function choose<S extends Choosable>(sessions: Iterable<S>, plan: Plan): S[] {
  return [...sessions]
    .filter((session) => covers(session.plan, plan))
    .sort((a, b) => Number(b.isOpen) - Number(a.isOpen) || planSize(a.plan) - planSize(b.plan));
}
