import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { fitLinearProbe } from '../../../gpu-node/train/linear-probe.ts';
import { maxDifference } from '../../support/tiny-bert.ts';

interface Fixture {
  width: number;
  labels: number;
  features: number[];
  actual: number[];
  cases: { class_weights: number[] | null; weight: number[]; bias: number[] }[];
}

const fixture = JSON.parse(
  readFileSync(new URL('../../fixtures/linear-probe.json', import.meta.url), 'utf8'),
) as Fixture;
const { width, labels, actual } = fixture;
const features = Float32Array.from(fixture.features);
/** A bias may move along with all others: what counts are differences. */
const centred = (bias: ArrayLike<number>) => {
  const mean = Array.from(bias).reduce((sum, x) => sum + x, 0) / bias.length;
  return Array.from(bias, (x) => x - mean);
};

describe('a linear probe', () => {
  it.each(fixture.cases)(
    "is scikit-learn's logistic regression (class weights $class_weights)",
    (expected) => {
      const classWeights = expected.class_weights ?? undefined;
      const probe = fitLinearProbe({
        features,
        width,
        actual,
        labels,
        ...(classWeights && { classWeights }),
      });
      expect(maxDifference(probe.weight, expected.weight)).toBeLessThan(1e-4);
      expect(maxDifference(centred(probe.bias), centred(expected.bias))).toBeLessThan(1e-3);
    },
  );

  it('tells labels apart that one feature tells apart', () => {
    const { weight, bias } = fitLinearProbe({
      features: Float32Array.of(1, 0, 0.9, 0.1, -1, 0, -0.8, 0.1),
      width: 2,
      actual: [0, 0, 1, 1],
      labels: 2,
    });
    const logit = (label: number, x: number[]) =>
      bias[label]! + weight[2 * label]! * x[0]! + weight[2 * label + 1]! * x[1]!;
    expect(logit(0, [0.7, 0])).toBeGreaterThan(logit(1, [0.7, 0]));
    expect(logit(1, [-0.7, 0])).toBeGreaterThan(logit(0, [-0.7, 0]));
  });

  it('stays finite where every feature is zero, or a label has no row', () => {
    const probe = fitLinearProbe({ features: new Float32Array(6), width: 2, actual: [0, 1, 1], labels: 3 });
    expect([...probe.weight, ...probe.bias].every(Number.isFinite)).toBe(true);
  });
});
