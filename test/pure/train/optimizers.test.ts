import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AdamW, clipGradients } from '../../../gpu-node/train/optimizers.ts';
import { linearSchedule } from '../../../gpu-node/train/schedule.ts';

/** What torch and transformers computed: scripts/fixtures/optimizers.py. */
const fixture = JSON.parse(readFileSync('test/fixtures/optimizers.json', 'utf8')) as {
  peak: number;
  warmup: number;
  weight_decay: number;
  max_norm: number;
  start: number[][];
  steps: { rate: number; gradients: number[][]; norm: number; clipped: number[][]; parameters: number[][] }[];
};

const floats = (lists: number[][]) => lists.map((list) => Float32Array.from(list));

function expectClose(actual: readonly Float32Array[], expected: number[][], relative: number) {
  for (const [i, list] of expected.entries()) {
    for (const [j, value] of list.entries()) {
      expect(Math.abs(actual[i]![j]! - value)).toBeLessThanOrEqual(relative * Math.abs(value) + 1e-9);
    }
  }
}

describe('AdamW', () => {
  it("takes torch's steps, under the schedule, with clipped gradients", () => {
    const parameters = floats(fixture.start).map((data) => ({ data }));
    const optimizer = new AdamW(parameters, { weightDecay: fixture.weight_decay });
    const rate = linearSchedule(fixture.peak, fixture.warmup, fixture.steps.length);
    for (const [step, expected] of fixture.steps.entries()) {
      const gradients = floats(expected.gradients);
      expect(Math.abs(clipGradients(gradients, fixture.max_norm) / expected.norm - 1)).toBeLessThan(1e-6);
      expectClose(gradients, expected.clipped, 1e-6);
      optimizer.step(gradients, rate(step));
      expectClose(
        parameters.map(({ data }) => data),
        expected.parameters,
        1e-5,
      );
    }
  });
});

describe('the linear schedule', () => {
  it("is transformers'", () => {
    const rate = linearSchedule(fixture.peak, fixture.warmup, fixture.steps.length);
    for (const [step, expected] of fixture.steps.entries()) expect(rate(step)).toBeCloseTo(expected.rate, 12);
  });

  it('starts at its peak without warmup, and ends at 0', () => {
    expect(linearSchedule(0.1, 0, 10)(0)).toBe(0.1);
    expect(linearSchedule(0.1, 0, 10)(10)).toBe(0);
    expect(linearSchedule(0.1, 0, 10)(11)).toBe(0);
    expect(linearSchedule(0.1, 10, 10)(9)).toBeCloseTo(0.09, 12);
  });
});

describe('clipping', () => {
  it('leaves small gradients alone', () => {
    const gradients = [Float32Array.of(3), Float32Array.of(4)];
    expect(clipGradients(gradients, 6)).toBe(5);
    expect(gradients).toEqual([Float32Array.of(3), Float32Array.of(4)]);
  });

  it('tells of a gradient that is not finite', () => {
    expect(clipGradients([Float32Array.of(1, Number.NaN)], 1)).toBeNaN();
    expect(clipGradients([Float32Array.of(Number.POSITIVE_INFINITY)], 1)).toBe(Number.POSITIVE_INFINITY);
  });
});
