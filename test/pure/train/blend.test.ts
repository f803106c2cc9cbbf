import { expect, it } from 'vitest';
import { BLENDS, chooseBlend } from '../../../gpu-node/train/blend.ts';

const LABELS = ['a', 'b'];

/** Logits that answer `right` of the rows rightly, the first ones. */
const answers = (actual: readonly number[], isRight: (row: number) => boolean) =>
  actual.map((label, row) => (isRight(row) === (label === 0) ? [1, 0] : [0, 1]));

/** What is chosen where the shares are right about these rows; those not given are right about none. */
function choose(
  right: Record<number, (row: number) => boolean>,
  actual: readonly number[],
  metric = 'f1' as const,
) {
  const logits = BLENDS.map((share) => answers(actual, right[share] ?? (() => false)));
  return chooseBlend({ labels: LABELS, actual, logits, metric }).share;
}

const EVEN = Array.from({ length: 100 }, (_, row) => row % 2);

it('keeps all of the change where it answers best', () => {
  expect(choose({ 1: (row) => row < 80, 0.5: (row) => row < 79, 0: (row) => row < 60 }, EVEN)).toBe(1);
});

it('keeps all of the change where less of it is right about hardly more rows', () => {
  // 12 rows against 9 that only the other is right about: 3 more, and the error of that is 4.6.
  const half = (row: number) => row < 72;
  const whole = (row: number) => row >= 12 && row < 81;
  expect(choose({ 1: whole, 0.5: half }, EVEN)).toBe(1);
});

it('keeps less of the change where that is right about clearly more rows', () => {
  expect(choose({ 1: (row) => row < 70, 0.75: (row) => row < 74, 0.5: (row) => row < 80 }, EVEN)).toBe(0.5);
});

it('keeps the start where training harmed', () => {
  expect(choose({ 1: (row) => row < 60, 0: (row) => row < 75 }, EVEN)).toBe(0);
});

it('weighs each label the same where the mean F1 over labels is the aim', () => {
  // 90 rows of one label, 10 of the other: the half is right about 6 more of the rare and 10 fewer of the frequent ones.
  const actual = Array.from({ length: 100 }, (_, row) => Number(row >= 90));
  const right = { 1: (row: number) => row < 90, 0.5: (row: number) => row >= 10 && row < 96 };
  expect(choose(right, actual)).toBe(1);
  const logits = BLENDS.map((share) => answers(actual, right[share as 1] ?? (() => false)));
  expect(chooseBlend({ labels: LABELS, actual, logits, metric: 'f1_macro' }).share).toBe(0.5);
});

it('gives the rows and metrics of what it chose', () => {
  const logits = BLENDS.map((share) => answers(EVEN, (row) => row < 50 + 40 * (1 - share)));
  const { share, rows, metrics } = chooseBlend({ labels: LABELS, actual: EVEN, logits, metric: 'f1' });
  expect(share).toBe(0);
  expect(rows).toBe(logits[0]);
  expect(metrics.accuracy).toBe(0.9);
});
