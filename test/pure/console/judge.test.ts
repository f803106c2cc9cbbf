import { describe, expect, it } from 'vitest';
import {
  atThreshold,
  figuresOf,
  flipsOf,
  type JudgedRow,
  majorityBaseline,
  matrixOf,
  mcnemar,
  mistakesOf,
  reliabilityOf,
  weightedF1,
} from '../../../console/figures/judge.ts';
import { classificationMetrics } from '../../../shared/metrics.ts';

const rowsOf = (...all: [truth: string, label: string, score: number][]): JudgedRow[] =>
  all.map(([truth, label, score], row) => ({ row, text: `text ${row}`, truth, label, score }));

const ROWS = rowsOf(
  ['spam', 'spam', 0.99],
  ['spam', 'ham', 0.95],
  ['spam', 'spam', 0.6],
  ['ham', 'ham', 0.55],
  ['ham', 'spam', 0.52],
);

describe('classified rows', () => {
  it('give the same matrix and figures as those of a training', () => {
    const labels = ['ham', 'spam'];
    const place = (label: string) => labels.indexOf(label);
    const trained = classificationMetrics({
      labels,
      actual: ROWS.map(({ truth }) => place(truth)),
      predicted: ROWS.map(({ label }) => place(label)),
      loss: 0,
      ece: 0,
    });
    const matrix = matrixOf(labels, ROWS);
    expect(matrix).toEqual(trained.confusion_matrix);
    expect(figuresOf(matrix)).toEqual(labels.map((label) => trained.per_label[label]));
    expect(weightedF1(figuresOf(matrix))).toBeCloseTo(trained.f1);
  });

  it('leave out of the matrix what is none of its labels', () => {
    expect(matrixOf(['ham'], ROWS)).toEqual([[1]]);
  });

  it('are counted where answers below a threshold are withheld', () => {
    expect(atThreshold(ROWS, 0)).toEqual({ coverage: 1, precision: 0.6, recall: 0.6 });
    expect(atThreshold(ROWS, 0.6)).toEqual({ coverage: 0.6, precision: 2 / 3, recall: 0.4 });
    expect(atThreshold(ROWS, 1)).toEqual({ coverage: 0, precision: 0, recall: 0 });
  });

  it('fall into bins by their score, of which each says how often it was right', () => {
    const bins = reliabilityOf(ROWS);
    expect(bins.map(({ rows, accuracy }) => [rows, accuracy])).toEqual([
      [2, 0.5],
      [1, 1],
      [2, 0.5],
    ]);
    expect(bins[2]!.confidence).toBeCloseTo(0.97);
    expect(reliabilityOf(rowsOf(['a', 'a', 1]))).toEqual([{ confidence: 1, accuracy: 1, rows: 1 }]);
  });

  it('put the most certain mistake first', () => {
    expect(mistakesOf(ROWS).map(({ score }) => score)).toEqual([0.95, 0.52]);
  });
});

describe('two adapters on the same rows', () => {
  it('flip where their labels differ, and gain or lose by it', () => {
    const after = ROWS.map((row) => (row.row === 1 || row.row === 0 ? { ...row, label: 'spam' } : row));
    const { flips, gained, lost } = flipsOf(ROWS, after);
    expect(flips.map(({ before }) => before.row)).toEqual([1]);
    expect([gained, lost]).toEqual([1, 0]);
  });

  // By R's binom.test(min, n)$p.value.
  it('differ by more than chance as McNemar’s exact test has it', () => {
    expect(mcnemar(0, 0)).toBe(1);
    expect(mcnemar(5, 5)).toBe(1);
    expect(mcnemar(1, 9)).toBeCloseTo(0.02148438);
    expect(mcnemar(10, 30)).toBeCloseTo(0.00222, 4);
    expect(mcnemar(4000, 4000)).toBe(1);
  });
});

it('always giving the most frequent label has that label’s share right', () => {
  const { accuracy, f1 } = majorityBaseline([3, 1]);
  const trained = classificationMetrics({
    labels: ['a', 'b'],
    actual: [0, 0, 0, 1],
    predicted: [0, 0, 0, 0],
    loss: 0,
    ece: 0,
  });
  expect(accuracy).toBe(trained.accuracy);
  expect(f1).toBeCloseTo(trained.f1);
});
