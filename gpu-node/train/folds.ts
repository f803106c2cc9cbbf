import type { Effort } from '../../shared/training-aims.ts';

/** Most descents of a training. */
export const MAX_FOLDS = 5;

/** Rows from which one descent over nine tenths is worth as much as several over parts, and the last tenth tells enough. */
const MANY_ROWS = 1500;

/** Descents over few rows, by effort: each leaves one part of the rows out, which validates it. */
const FOLDS: Readonly<Record<Effort, number>> = { fast: 1, auto: 1, thorough: MAX_FOLDS };

export interface FoldFacts {
  readonly effort: Effort;
  /** Number of rows that may be trained on. */
  readonly rows: number;
  /** Number of rows of the rarest label. */
  readonly rarest: number;
  /** True if the user has said what validates. */
  readonly validationGiven: boolean;
  /** True if every weight of the base model is trained, which takes too long and too much memory to do it again. */
  readonly wholeModel: boolean;
}

/** Number of descents of a training. 1 trains once, with rows set aside as usual. */
export function foldsFor({ effort, rows, rarest, validationGiven, wholeModel }: FoldFacts): number {
  if (rows >= MANY_ROWS || validationGiven || wholeModel) return 1;
  // Every descent needs rows of each label to train on.
  return rarest < 2 ? 1 : Math.min(FOLDS[effort], Math.max(2, rarest));
}
