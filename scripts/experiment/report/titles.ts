import { SETS } from '../sets.ts';

/** A set as a table's head shows it. */
export function titleOf(set: string): string {
  return SETS.find(({ name }) => name === set)?.title ?? set;
}
