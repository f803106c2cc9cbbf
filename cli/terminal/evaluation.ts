import type { Comparison, Evaluation, ModelResult } from '../../shared/api/evaluations.ts';
import { shortened } from './printable.ts';
import { fields, metricsTables, type Paint, table } from './tables.ts';

const BAR_CELLS = 20;
const TEXT_COLUMNS = 56;
const LABEL_COLUMNS = 20;
/** Rows of a kind that are shown; the JSON has more. */
const MAX_ROWS = 10;
/** Beyond this p-value a difference between two models may well be chance. */
const SIGNIFICANT = 0.05;

/** The results of an evaluation: of one model in detail, of several side by side with what they answer differently. */
export function evaluationTables({ results, comparisons }: Evaluation, paint: Paint): string {
  const [only, ...others] = results ?? [];
  if (!only) return '  There are no results.';
  if (others.length === 0) return oneModel(only, paint);
  return [sideBySide([only, ...others]), ...(comparisons ?? []).map((each) => twoModels(each, paint))].join(
    '\n\n',
  );
}

function oneModel({ labels, metrics, calibration, mistakes, truncated }: ModelResult, paint: Paint): string {
  return [
    metricsTables(labels, metrics, paint),
    fields([
      ['rows', String(metrics.examples)],
      ['accuracy', metrics.accuracy.toFixed(3)],
      ['log loss', metrics.loss.toFixed(4)],
      ['calibration error', metrics.ece.toFixed(4)],
      ['texts cut', truncated > 0 ? String(truncated) : null],
    ]),
    calibrationTable(calibration),
    ...(mistakes.length > 0 ? [`  The most certain mistakes\n${mistakeTable(mistakes)}`] : []),
  ].join('\n\n');
}

/** Accuracy by confidence, a bar each: in a calibrated model both are equal. */
function calibrationTable(bins: ModelResult['calibration']): string {
  const rows = bins.map(({ rows, confidence, accuracy }) => [
    confidence.toFixed(3),
    accuracy.toFixed(3),
    String(rows),
    '█'.repeat(Math.round(accuracy * BAR_CELLS)),
  ]);
  return table([['confidence', 'accuracy', 'rows', ''], ...rows]);
}

function mistakeTable(mistakes: ModelResult['mistakes']): string {
  const rows = mistakes
    .slice(0, MAX_ROWS)
    .map(({ row, text, label, predicted, score }) => [
      String(row),
      shortened(text, TEXT_COLUMNS),
      shortened(label, LABEL_COLUMNS),
      shortened(predicted, LABEL_COLUMNS),
      score.toFixed(3),
    ]);
  return table([['row', 'text', 'true', 'predicted', 'score'], ...rows]);
}

function sideBySide(results: readonly ModelResult[]): string {
  const rows = results.map(({ model, metrics }) => [
    model,
    ...[metrics.f1, metrics.f1_macro, metrics.accuracy, metrics.ece].map((value) => value.toFixed(3)),
    String(metrics.examples),
  ]);
  return table([['adapter', 'F1', 'F1 macro', 'accuracy', 'calibration error', 'rows'], ...rows]);
}

function twoModels(comparison: Comparison, paint: Paint): string {
  const { models, both_right, only_first_right, only_second_right, both_wrong, mcnemar } = comparison;
  const [first, second] = models;
  const p = mcnemar.p_value;
  const verdict =
    p >= SIGNIFICANT
      ? 'the difference may be chance'
      : `${only_first_right > only_second_right ? first : second} is better`;
  const counts = table(
    [
      ['', `${second} right`, `${second} wrong`],
      [`${first} right`, String(both_right), String(only_first_right)],
      [`${first} wrong`, String(only_second_right), String(both_wrong)],
    ],
    (cell, y, x) => (y > 0 && x > 0 && x !== y ? paint('yellow', cell) : cell),
  );
  const test = `  McNemar's test: p = ${p < 0.001 ? p.toExponential(1) : p.toFixed(3)}; ${verdict}`;
  return [counts, test, flippedTable(comparison)].join('\n\n').trimEnd();
}

function flippedTable({ models, flipped, flipped_rows }: Comparison): string {
  if (flipped === 0) return '  Both answer every row alike.';
  const rows = flipped_rows
    .slice(0, MAX_ROWS)
    .map(({ row, text, label, outcomes }) => [
      String(row),
      shortened(text, TEXT_COLUMNS),
      shortened(label, LABEL_COLUMNS),
      ...outcomes.map(({ predicted, score }) => `${shortened(predicted, LABEL_COLUMNS)} ${score.toFixed(3)}`),
    ]);
  const head = `  ${flipped} ${flipped === 1 ? 'row is' : 'rows are'} answered differently`;
  return `${head}\n${table([['row', 'text', 'true', ...models], ...rows])}`;
}
