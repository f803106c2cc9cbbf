import { describe, expect, it } from 'vitest';
import { Random } from '../../../gpu-node/random.ts';
import { classificationMetrics } from '../../../shared/metrics.ts';
import { packedMetrics, packMetrics, unpackMetrics } from '../../../shared/packed-metrics.ts';

/** Metrics of so many rows, each classified at random. */
function metricsOf(labels: number, rows: number, seed: number) {
  const random = new Random(seed, 'rows');
  const draw = () => Array.from({ length: rows }, () => random.below(labels));
  const names = Array.from({ length: labels }, (_, i) => `label ${i}`);
  return classificationMetrics({ labels: names, actual: draw(), predicted: draw(), loss: 1, ece: 0 });
}

describe('metrics as they are kept', () => {
  it.each([
    [2, 0],
    [2, 1],
    [3, 50],
    [40, 60],
    [300, 1000],
  ])('of %i labels and %i rows unpack to what they were', (labels, rows) => {
    const metrics = metricsOf(labels, rows, labels + rows);
    const packed = packMetrics(metrics);
    expect(unpackMetrics(packedMetrics.parse(JSON.parse(JSON.stringify(packed))))).toEqual(metrics);
  });

  it('hold no runs of zeros, and where there are none are the matrix itself', () => {
    const metrics = metricsOf(1000, 1000, 1);
    expect(JSON.stringify(packMetrics(metrics).confusion_matrix).length).toBeLessThan(20_000);
    const full = {
      ...metricsOf(2, 0, 1),
      confusion_matrix: [
        [3, 0],
        [1, 2],
      ],
    };
    expect(packMetrics(full)).toEqual(full);
    expect(unpackMetrics(full)).toEqual(full);
  });

  it.each([
    ['too few columns', [[1], [1, 1]], 'row 0 has 1 columns for 2 labels'],
    [
      'too many',
      [
        [1, 1],
        [1, 1, 1],
      ],
      'row 1 has 3 columns for 2 labels',
    ],
    ['a run beyond the end', [[1, 1], [-9e15]], 'row 1 has 9000000000000000 columns for 2 labels'],
  ])('are refused with %s', (_, confusion_matrix, message) => {
    const metrics = { ...metricsOf(2, 3, 1), confusion_matrix };
    expect(() => unpackMetrics(packedMetrics.parse(metrics))).toThrow(message);
  });
});
