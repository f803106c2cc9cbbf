import { expect, it } from 'vitest';
import { findRepeats, type HashedRows } from '../../../gpu-node/data/repeats.ts';
import { Random } from '../../../gpu-node/random.ts';

/** Rows as `[hash, label]`. */
const rowsOf = (rows: readonly (readonly [number, number])[]): HashedRows => ({
  hashes: Float64Array.from(rows, ([hash]) => hash),
  labels: rows.map(([, label]) => label),
});

it('finds nothing where every text comes once', () => {
  const none = { leaked: 0, contradicting: { texts: 0, rows: 0 } };
  expect(findRepeats(rowsOf([]), rowsOf([]))).toEqual(none);
  // The ends of the range, and neighbours that differ in one bit.
  const apart = [0, 1, 2 ** 21, 2 ** 21 + 1, 2 ** 32, 2 ** 53 - 2, 2 ** 53 - 1];
  const training = rowsOf(apart.map((hash, i) => [hash, i % 2 ? 0 : 999]));
  expect(findRepeats(training, rowsOf([[77, 3]]))).toEqual(none);
});

it('counts the validation rows whose text is trained on, not those that repeat among themselves', () => {
  const training = rowsOf([
    [5, 0],
    [5, 0],
    [2 ** 52, 1],
  ]);
  const validation = rowsOf([
    [5, 0],
    [5, 0],
    [9, 1],
    [9, 1],
    [2 ** 52, 1],
  ]);
  expect(findRepeats(training, validation)).toEqual({ leaked: 3, contradicting: { texts: 0, rows: 0 } });
});

it('counts texts of several labels, within a part and across both', () => {
  const training = rowsOf([
    [5, 0],
    [5, 999],
    [5, 0],
    [7, 1],
  ]);
  expect(findRepeats(training, rowsOf([[7, 2]]))).toEqual({
    leaked: 1,
    contradicting: { texts: 2, rows: 5 },
  });
});

it('agrees with a table of texts', () => {
  const random = new Random(1, 'rows');
  const draw = (count: number) =>
    Array.from({ length: count }, () => [random.below(400) * 2 ** 44 + 3, random.below(3)] as const);
  const [training, validation] = [draw(500), draw(100)];
  const trained = new Set(training.map(([hash]) => hash));
  const texts = [...Map.groupBy([...training, ...validation], ([hash]) => hash).values()];
  const contradicting = texts.filter((rows) => new Set(rows.map(([, label]) => label)).size > 1);
  expect(findRepeats(rowsOf(training), rowsOf(validation))).toEqual({
    leaked: validation.filter(([hash]) => trained.has(hash)).length,
    contradicting: { texts: contradicting.length, rows: contradicting.flat().length },
  });
});
