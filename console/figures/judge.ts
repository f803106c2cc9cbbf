// What rows that an adapter has classified say of it. Pure: the API gives the rows and their classes.

/** A labelled row with what an adapter makes of it. */
export interface JudgedRow {
  /** Its place in the file, from 0. */
  readonly row: number;
  readonly text: string;
  readonly truth: string;
  readonly label: string;
  /** Of `label`. */
  readonly score: number;
}

const isRight = ({ truth, label }: JudgedRow) => truth === label;

/** Rows of each label (first index) by the label that they got (second). A label that is not among `labels` is left out. */
export function matrixOf(labels: readonly string[], rows: readonly JudgedRow[]): number[][] {
  const place = new Map(labels.map((label, i) => [label, i]));
  const matrix = labels.map(() => labels.map(() => 0));
  for (const { truth, label } of rows) {
    const [i, j] = [place.get(truth), place.get(label)];
    if (i !== undefined && j !== undefined) matrix[i]![j]! += 1;
  }
  return matrix;
}

export interface LabelFigures {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
  readonly support: number;
}

const ratio = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);

/** Precision, recall and F1 of each label of a matrix, in its order; a ratio without a denominator is 0. */
export function figuresOf(matrix: readonly (readonly number[])[]): LabelFigures[] {
  return matrix.map((row, i) => {
    const support = row.reduce((sum, count) => sum + count, 0);
    const classified = matrix.reduce((sum, other) => sum + other[i]!, 0);
    const precision = ratio(row[i]!, classified);
    const recall = ratio(row[i]!, support);
    return { precision, recall, f1: ratio(2 * row[i]!, support + classified), support };
  });
}

export function accuracyOf(rows: readonly JudgedRow[]): number {
  return ratio(rows.filter(isRight).length, rows.length);
}

/** Weighted F1: the mean over labels by their rows. */
export function weightedF1(figures: readonly LabelFigures[]): number {
  const rows = figures.reduce((sum, { support }) => sum + support, 0);
  return ratio(
    figures.reduce((sum, { f1, support }) => sum + f1 * support, 0),
    rows,
  );
}

/** What always giving the most frequent label would reach, from the rows of each label. */
export function majorityBaseline(supports: readonly number[]): { accuracy: number; f1: number } {
  const share = ratio(
    Math.max(0, ...supports),
    supports.reduce((sum, count) => sum + count, 0),
  );
  return { accuracy: share, f1: share * ratio(2 * share, 1 + share) };
}

export interface ReliabilityBin {
  /** Means over the rows of the bin. */
  readonly confidence: number;
  readonly accuracy: number;
  readonly rows: number;
}

/** Rows by their score in bins of equal width: where the classifier says 0.8, it should be right eight times of ten. */
export function reliabilityOf(rows: readonly JudgedRow[], bins = 10): ReliabilityBin[] {
  const sums = Array.from({ length: bins }, () => ({ score: 0, right: 0, rows: 0 }));
  for (const row of rows) {
    const sum = sums[Math.min(bins - 1, Math.floor(row.score * bins))]!;
    sum.score += row.score;
    sum.right += Number(isRight(row));
    sum.rows += 1;
  }
  return sums
    .filter((sum) => sum.rows > 0)
    .map((sum) => ({ confidence: sum.score / sum.rows, accuracy: sum.right / sum.rows, rows: sum.rows }));
}

/**
 * What remains if answers below a score are withheld: the share of rows that get one (`coverage`), the share of those that are right
 * (`precision`), and the share of all rows that get the right one (`recall`).
 */
export function atThreshold(rows: readonly JudgedRow[], threshold: number) {
  const answered = rows.filter(({ score }) => score >= threshold);
  const right = answered.filter(isRight).length;
  return {
    coverage: ratio(answered.length, rows.length),
    precision: ratio(right, answered.length),
    recall: ratio(right, rows.length),
  };
}

/** The rows that went wrong, the most certain first. */
export function mistakesOf(rows: readonly JudgedRow[]): JudgedRow[] {
  return rows.filter((row) => !isRight(row)).sort((a, b) => b.score - a.score);
}

/** Rows that two classifiers give different labels, and whether each was right. Both lists are of the same rows, in the same order. */
export function flipsOf(before: readonly JudgedRow[], after: readonly JudgedRow[]) {
  const flips = before.flatMap((row, i) => {
    const other = after[i];
    if (!other || other.label === row.label) return [];
    return [{ before: row, after: other, gained: isRight(other), lost: isRight(row) }];
  });
  const gained = flips.filter((flip) => flip.gained).length;
  const lost = flips.filter((flip) => flip.lost).length;
  return { flips, gained, lost, p: mcnemar(gained, lost) };
}

/**
 * McNemar's exact test: the probability of so uneven a split of the rows that one alone has right, were both equally good. Computed in
 * logarithms, as the factorials of thousands are too large for a number.
 */
export function mcnemar(gained: number, lost: number): number {
  const n = gained + lost;
  if (n === 0) return 1;
  const logs = [0];
  for (let i = 1; i <= n; i++) logs.push(logs[i - 1]! + Math.log(i));
  let tail = 0;
  for (let k = 0; k <= Math.min(gained, lost); k++) {
    tail += Math.exp(logs[n]! - logs[k]! - logs[n - k]! - n * Math.LN2);
  }
  return Math.min(1, 2 * tail);
}
