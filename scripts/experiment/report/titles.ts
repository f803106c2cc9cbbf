import { SETS } from '../sets.ts';

/** A set's name in a table's head. */
export function titleOf(set: string): string {
  return SETS.find(({ name }) => name === set)?.title ?? set;
}

/** A number of examples per label in words; null means all. */
export function shotsLabel(shots: number | null): string {
  return shots === null ? 'all' : String(shots);
}
