import type { Plan } from '../parts/index.ts';

interface Known {
  /** Every part at every place, written `part place`. */
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

/** A plan's name; equal names mean the same parts at the same places. */
export function planName(plan: Plan): string {
  return about(plan).name;
}

/** Number of places over all parts; a session's cost besides its base model is roughly proportional to it. */
export function planSize(plan: Plan): number {
  return about(plan).acts.size;
}

/** True if a session of `plan` can serve an adapter of `other`: it applies every part at every place that the adapter needs. */
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

/** The facts by which sessions are chosen. */
export interface Choosable {
  readonly plan: Plan;
  /** True if it can answer now; other sessions are still being built. */
  readonly isOpen: boolean;
}

/** The sessions that can serve an adapter of this plan: open ones first, and of these the smallest first. */
export function choose<S extends Choosable>(sessions: Iterable<S>, plan: Plan): S[] {
  return [...sessions]
    .filter((session) => covers(session.plan, plan))
    .sort((a, b) => Number(b.isOpen) - Number(a.isOpen) || planSize(a.plan) - planSize(b.plan));
}
