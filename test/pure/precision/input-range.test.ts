import { expect, it } from 'vitest';
import { bestRange, ValueHistogram } from '../../../gpu-node/precision/input-range.ts';
import { Random } from '../../../gpu-node/random.ts';

const rangeOf = (elements: Float32Array) => {
  const histogram = new ValueHistogram(Math.min(0, ...elements), Math.max(...elements));
  histogram.add(elements);
  return bestRange(histogram);
};

const random = new Random(1, 'range');
const normal = Float32Array.from({ length: 20_000 }, () => random.normal());

it('covers even elements whole', () => {
  const even = Float32Array.from({ length: 10_000 }, () => 2 * random.uniform() - 0.5);
  const { scale, zeroPoint } = rangeOf(even);
  expect(scale).toBeCloseTo(2 / 255, 4);
  expect(zeroPoint).toBe(64);
});

it('gives an outlier up where a million others gain more', () => {
  const histogram = new ValueHistogram(-5, 40);
  for (let i = 0; i < 50; i++) histogram.add(normal);
  histogram.add(Float32Array.of(40));
  const { scale, zeroPoint } = bestRange(histogram);
  expect(scale * (255 - zeroPoint)).toBeLessThan(20);
  expect(scale * (255 - zeroPoint)).toBeGreaterThan(3);
});

it('keeps outliers that are many', () => {
  const elements = Float32Array.from({ length: 10_000 }, (_, i) => (i % 20 === 0 ? 30 : 0.1 * normal[i]!));
  const { scale, zeroPoint } = rangeOf(elements);
  expect(scale * (255 - zeroPoint)).toBeGreaterThan(28);
});

it('takes elements of one sign', () => {
  const { zeroPoint, scale } = rangeOf(Float32Array.from(normal, Math.abs));
  expect(zeroPoint).toBe(0);
  expect(scale).toBeGreaterThan(0);
});
