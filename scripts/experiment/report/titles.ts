import { SETS } from '../sets.ts';

/** A set as a table's head shows it. */
export function titleOf(set: string): string {
  return SETS.find(({ name }) => name === set)?.title ?? set;
}

/** A number of examples of each label, null being all. */
export function shotsLabel(shots: number | null): string {
  return shots === null ? 'all' : String(shots);
}
