import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../gpu-node/random.ts';
import { fitTemperature } from '../../../gpu-node/train/temperature.ts';
import { MAX_TEMPERATURE, MIN_TEMPERATURE } from '../../../shared/adapter-format.ts';
import { computeMetrics, softmax } from '../../../shared/metrics.ts';

/** What scipy says: scripts/fixtures/metrics.py. */
const cases = JSON.parse(readFileSync('test/fixtures/metrics.json', 'utf8')) as {
  name: string;
  actual: number[];
  logits: number[][];
  calibrated: { temperature: number };
}[];

/** Rows whose labels are drawn from the softmax of their logits; the logits are then `factor` times as large. */
function overconfident(count: number, factor: number) {
  const random = new Random(5, 'logits');
  const logits = Array.from({ length: count }, () => [random.normal(), random.normal(), random.normal()]);
  const actual = logits.map((row) => {
    const scores = softmax(row);
    const draw = random.uniform();
    return draw < scores[0]! ? 0 : draw < scores[0]! + scores[1]! ? 1 : 2;
  });
  return { logits: logits.map((row) => row.map((logit) => factor * logit)), actual };
}

describe('the temperature of logits', () => {
  it.each(cases)("is scipy's: $name", ({ logits, actual, calibrated }) => {
    expect(fitTemperature(logits, actual)).toBeCloseTo(calibrated.temperature, 5);
  });

  it('is what logits were multiplied by, and takes the error of calibration away', () => {
    const { logits, actual } = overconfident(5000, 3);
    const temperature = fitTemperature(logits, actual);
    expect(temperature).toBeGreaterThan(2.8);
    expect(temperature).toBeLessThan(3.2);
    const labels = ['a', 'b', 'c'];
    expect(computeMetrics(labels, actual, logits).ece).toBeGreaterThan(0.2);
    expect(computeMetrics(labels, actual, logits, temperature).ece).toBeLessThan(0.03);
  });

  it('is 1 of no rows', () => {
    expect(fitTemperature([], [])).toBe(1);
  });

  it('stays within its bounds where rows are all right, and where they are all wrong', () => {
    const certain = Array.from({ length: 1000 }, () => [1e4, -1e4]);
    const temperatures = [0, 1].map((label) => fitTemperature(certain, new Uint8Array(1000).fill(label)));
    expect(temperatures[0]).toBe(1);
    expect(temperatures[1]).toBeCloseTo(MAX_TEMPERATURE, 6);
    const hesitant = Array.from({ length: 100_000 }, () => [1e-3, 0]);
    expect(fitTemperature(hesitant, new Uint8Array(100_000))).toBeCloseTo(MIN_TEMPERATURE, 6);
  });
});
