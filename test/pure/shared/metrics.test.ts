import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { classificationMetrics, computeMetrics, validationMetrics } from '../../../shared/metrics.ts';

interface Calibration {
  temperature: number;
  loss: number;
  ece: number;
}

/** What scikit-learn and numpy say: scripts/fixtures/metrics.py. */
const cases = JSON.parse(readFileSync('test/fixtures/metrics.json', 'utf8')) as {
  name: string;
  labels: string[];
  actual: number[];
  predicted: number[];
  logits: number[][];
  as_is: Calibration;
  calibrated: Calibration;
  accuracy: number;
  precision: number;
  recall: number;
  f1: number;
  f1_macro: number;
  per_label: { precision: number; recall: number; f1: number; support: number }[];
  confusion_matrix: number[][];
}[];

describe('the metrics of classified rows', () => {
  it.each(cases)("are scikit-learn's: $name", ({ name: _name, per_label, confusion_matrix, ...expected }) => {
    const { labels, actual, predicted, logits, as_is, calibrated, ...scores } = expected;
    const metrics = computeMetrics(labels, actual, logits);
    const { loss, ece } = metrics;
    expect(classificationMetrics({ labels, actual, predicted, loss, ece })).toEqual(metrics);
    for (const { temperature, ...measured } of [as_is, calibrated]) {
      const scaled = computeMetrics(labels, actual, logits, temperature);
      expect(scaled.loss).toBeCloseTo(measured.loss, 9);
      expect(scaled.ece).toBeCloseTo(measured.ece, 9);
      expect({ ...scaled, loss, ece }).toEqual(metrics);
    }
    for (const [name, value] of Object.entries(scores)) {
      expect(metrics[name as keyof typeof scores]).toBeCloseTo(value, 9);
    }
    expect(metrics).toMatchObject({ examples: actual.length, confusion_matrix });
    for (const [i, label] of labels.entries()) {
      for (const [name, value] of Object.entries(per_label[i]!)) {
        expect(metrics.per_label[label]![name as keyof (typeof per_label)[0]]).toBeCloseTo(value, 12);
      }
    }
    expect(validationMetrics.parse(metrics)).toEqual(metrics);
  });

  it('are 0, not NaN, of no rows', () => {
    const metrics = computeMetrics(['a', 'b'], [], []);
    expect(metrics).toMatchObject({
      loss: 0,
      ece: 0,
      accuracy: 0,
      precision: 0,
      recall: 0,
      f1: 0,
      f1_macro: 0,
    });
  });
});
