import { styleText } from 'node:util';
import type { LabelMetrics, ValidationMetrics } from '../../shared/metrics.ts';
import { printable, shortened } from './printable.ts';

/** Labels up to which a confusion matrix is shown whole; beyond, its largest cells are. */
const MAX_MATRIX_LABELS = 16;
const MAX_CONFUSIONS = 10;
/** Labels up to which each has its row of metrics; beyond, those with the lowest F1 have. */
const MAX_LABEL_ROWS = 30;
const MAX_LABEL_COLUMNS = 24;

/** Colours a text; the plain one leaves it as it is. */
export type Paint = (style: 'green' | 'red' | 'yellow' | 'dim' | 'bold', text: string) => string;
export const plain: Paint = (_, text) => text;

/** Colours as the stream takes them: none where it is no terminal or `NO_COLOR` says so. */
export function painter(stream: NodeJS.WritableStream): Paint {
  return (style, text) => styleText(style, text, { stream });
}

/** Matches what stands in a column of numbers. */
const NUMBER = /^([-–]|[-–]?[\d.,]+ ?%?)?$/;

/**
 * Rows of cells, the first of them the heads, as an aligned table: numbers to the right, all else to the left. `paint` colours a cell after
 * it is aligned.
 */
export function table(
  rows: readonly (readonly string[])[],
  paint: (cell: string, row: number, column: number) => string = (cell) => cell,
): string {
  const cells = rows.map((row) => row.map(printable));
  const columns = cells[0]!.map((_, x) => ({
    width: Math.max(...cells.map((row) => row[x]!.length)),
    isNumbers: cells.slice(1).every((row) => NUMBER.test(row[x]!)),
  }));
  const aligned = (cell: string, x: number) => {
    const { width, isNumbers } = columns[x]!;
    return isNumbers ? cell.padStart(width) : cell.padEnd(width);
  };
  return cells
    .map((row, y) => `  ${row.map((cell, x) => paint(aligned(cell, x), y, x)).join('  ')}`.trimEnd())
    .join('\n');
}

/** Names and values, a line each; those without a value are left out. */
export function fields(rows: readonly (readonly [name: string, value: string | null | undefined])[]): string {
  const shown = rows.flatMap(([name, value]) => (value ? [[name, printable(value)] as const] : []));
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join('\n');
}

/** Precision, recall and F1 per label, then the confusion matrix (rows: true label). */
export function metricsTables(
  labels: readonly string[],
  metrics: ValidationMetrics,
  paint: Paint = plain,
): string {
  return [labelTable(labels, metrics), confusions(labels, metrics.confusion_matrix, paint)].join('\n\n');
}

function labelTable(labels: readonly string[], metrics: ValidationMetrics): string {
  const figure = (value: number) => value.toFixed(3);
  const rowOf = (name: string, { precision, recall, f1, support }: LabelMetrics) => [
    name,
    figure(precision),
    figure(recall),
    figure(f1),
    String(support),
  ];
  const known = labels.flatMap((label) => {
    const one = metrics.per_label[label];
    return one ? [{ label, ...one }] : [];
  });
  const shown =
    known.length <= MAX_LABEL_ROWS ? known : known.toSorted((a, b) => a.f1 - b.f1).slice(0, MAX_LABEL_ROWS);
  const left = known.length - shown.length;
  return table([
    ['label', 'precision', 'recall', 'F1', 'rows'],
    ...shown.map((one) => rowOf(labelCell(one.label), one)),
    ...(left > 0 ? [[`… ${left} with a higher F1`, '', '', '', '']] : []),
    rowOf('weighted', { ...metrics, support: metrics.examples }),
  ]);
}

function confusions(labels: readonly string[], matrix: readonly (readonly number[])[], paint: Paint): string {
  return labels.length <= MAX_MATRIX_LABELS
    ? confusionMatrix(labels, matrix, paint)
    : largestConfusions(labels, matrix);
}

/** The matrix: green where truth and prediction agree, yellow and red by the share of a label's rows that went elsewhere. */
export function confusionMatrix(
  labels: readonly string[],
  matrix: readonly (readonly number[])[],
  paint: Paint = plain,
): string {
  const names = labels.map(labelCell);
  const rows = matrix.map((row, i) => [names[i]!, ...row.map(String)]);
  return table([['true \\ predicted', ...names], ...rows], (cell, y, x) => {
    if (y === 0 || x === 0) return cell;
    const row = matrix[y - 1]!;
    const share = row[x - 1]! / Math.max(1, sum(row));
    if (share === 0) return paint('dim', cell);
    if (x === y) return paint('green', cell);
    return paint(share < 0.1 ? 'yellow' : 'red', cell);
  });
}

/** The pairs of labels that are most often taken for each other. */
function largestConfusions(labels: readonly string[], matrix: readonly (readonly number[])[]): string {
  const pairs = matrix.flatMap((row, i) =>
    row.flatMap((count, j) => (i === j || count === 0 ? [] : [{ i, j, count }])),
  );
  const largest = pairs.sort((a, b) => b.count - a.count).slice(0, MAX_CONFUSIONS);
  const rows = largest.map(({ i, j, count }) => [
    labelCell(labels[i]!),
    labelCell(labels[j]!),
    String(count),
    `${Math.round((100 * count) / sum(matrix[i]!))}%`,
  ]);
  return table([['true', 'predicted', 'rows', 'of its rows'], ...rows]);
}

function labelCell(label: string): string {
  return shortened(label, MAX_LABEL_COLUMNS);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
