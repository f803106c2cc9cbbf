import { expect, it } from 'vitest';
import { mcnemar } from '../../../shared/mcnemar.ts';

it.each([
  // Twice the sum of the binomial coefficients up to the smaller number, over the power of two.
  [1, 9, 22 / 2 ** 10],
  [0, 5, 2 / 2 ** 5],
  [5, 15, (2 * 21_700) / 2 ** 20],
  [0, 0, 1],
  [7, 7, 1],
])('of %i and %i discordant rows is exact', (first, second, p) => {
  expect(mcnemar(first, second)).toBeCloseTo(p, 12);
  expect(mcnemar(second, first)).toBe(mcnemar(first, second));
});

it('is near the normal approximation for many, and a number for any', () => {
  // Of z = 2 with the continuity correction: (|b - c| - 1) / sqrt(b + c).
  expect(mcnemar(4_899, 5_100)).toBeCloseTo(0.0455, 2);
  expect(mcnemar(100, 900_000)).toBeGreaterThanOrEqual(0);
  expect(mcnemar(499_000, 501_000)).toBeCloseTo(0.0456, 2);
});
