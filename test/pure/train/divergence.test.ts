import { describe, expect, it } from 'vitest';
import { Divergence, LossWatch, requireAllFinite } from '../../../gpu-node/train/divergence.ts';

const BATCH = 16;
const GUESSING = Math.log(4);

/** The step at which a watch over 4 labels gives up, from 1, or undefined. */
function stepOfDivergence(losses: readonly number[], batchSize = BATCH): number | undefined {
  const watch = new LossWatch(4, batchSize);
  for (const [i, loss] of losses.entries()) {
    try {
      watch.step(loss, 1);
    } catch (error) {
      expect(error).toBeInstanceOf(Divergence);
      return i + 1;
    }
  }
  return undefined;
}
const constant = (loss: number, steps: number) => new Array<number>(steps).fill(loss);

describe('a loss that is watched', () => {
  it('may stay at what guessing has, and fall from there', () => {
    expect(stepOfDivergence([...constant(GUESSING, 500), ...constant(0.01, 500)])).toBeUndefined();
  });

  it('may be high for one batch', () => {
    expect(stepOfDivergence([...constant(0.1, 50), 25, ...constant(0.1, 50)])).toBeUndefined();
    expect(stepOfDivergence([30, ...constant(0.1, 50)], 1)).toBeUndefined();
  });

  it('explodes where its mean is over twice that of guessing', () => {
    expect(stepOfDivergence(constant(1.9 * GUESSING, 1000))).toBeUndefined();
    expect(stepOfDivergence(constant(2.1 * GUESSING, 1000))).toBe(8);
    expect(stepOfDivergence([...constant(0.1, 100), ...constant(40, 100)])).toBe(102);
  });

  it('is watched over as many examples where batches are small', () => {
    expect(stepOfDivergence(constant(40, 1000), 1)).toBe(128);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('must not be %s, nor its gradient', (value) => {
    expect(stepOfDivergence([1, 1, value])).toBe(3);
    expect(() => new LossWatch(2, 8).step(0.5, value)).toThrow(
      "the gradient's norm is no longer a finite number",
    );
  });
});

it('finds the tensor that holds no finite number', () => {
  expect(() => requireAllFinite(Float32Array.of(0, 1), 'classifier.bias')).not.toThrow();
  const values = Float32Array.of(0, Number.NaN);
  expect(() => requireAllFinite(values, 'classifier.bias')).toThrow('classifier.bias is no longer a finite');
});
