import { z } from 'zod';
import { MAX_LABELS } from './api/rows.ts';
import { AppError } from './errors.ts';
import { type ValidationMetrics, validationMetrics } from './metrics.ts';

/**
 * Validation metrics in stored form: in a row of `confusion_matrix` a number below 0 stands for that many zeros. 1,000 labels make a
 * million counts, nearly all 0. A row without negative numbers stands for itself.
 */
export const packedMetrics = validationMetrics.extend({
  confusion_matrix: z.array(z.array(z.int()).max(MAX_LABELS)).max(MAX_LABELS),
});
export type PackedMetrics = z.infer<typeof packedMetrics>;

export function packMetrics(metrics: ValidationMetrics): PackedMetrics {
  return { ...metrics, confusion_matrix: metrics.confusion_matrix.map(packRow) };
}

/** @throws {AppError} `invalid_adapter` where the matrix is not square */
export function unpackMetrics(packed: PackedMetrics): ValidationMetrics {
  const rows = packed.confusion_matrix;
  return { ...packed, confusion_matrix: rows.map((row, i) => unpackRow(row, rows.length, i)) };
}

function packRow(counts: readonly number[]): number[] {
  const packed: number[] = [];
  for (let at = 0; at < counts.length; ) {
    let end = at;
    while (end < counts.length && counts[end] === 0) end++;
    if (end - at > 1) {
      packed.push(at - end);
      at = end;
    } else packed.push(counts[at++]!);
  }
  return packed;
}

function unpackRow(packed: readonly number[], labels: number, row: number): number[] {
  const counts = new Array<number>(labels).fill(0);
  let at = 0;
  for (const number of packed) {
    if (number < 0) at -= number;
    else if (at < labels) counts[at++] = number;
    else at++;
  }
  if (at === labels) return counts;
  throw new AppError(
    'invalid_adapter',
    `confusion_matrix: row ${row} has ${at} columns for ${labels} labels`,
  );
}
