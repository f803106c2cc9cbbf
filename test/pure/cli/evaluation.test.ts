import { expect, it } from 'vitest';
import { evaluationTables } from '../../../cli/terminal/evaluation.ts';
import { plain } from '../../../cli/terminal/tables.ts';
import type { Comparison, Evaluation, ModelResult } from '../../../shared/api/evaluations.ts';
import { computeMetrics } from '../../../shared/metrics.ts';

const labels = ['ham', 'spam'];
const result = (model: string, logits: number[][]): ModelResult => ({
  model,
  metrics: computeMetrics(labels, [0, 1, 1], logits),
  labels,
  unknown_labels: {},
  truncated: 0,
  calibration: [{ from: 0.8, to: 0.9, rows: 3, confidence: 0.85, accuracy: 0.5 }],
  mistakes: [{ row: 2, text: 'You won!', label: 'spam', predicted: 'ham', score: 0.9 }],
});
const first = result('spam@1', [
  [2, 0],
  [2, 0],
  [0, 2],
]);
const second = result('spam@2', [
  [2, 0],
  [0, 2],
  [0, 2],
]);
const comparison: Comparison = {
  models: ['spam@1', 'spam@2'],
  both_right: 2,
  only_first_right: 0,
  only_second_right: 1,
  both_wrong: 0,
  mcnemar: { discordant: 1, p_value: 1 },
  flipped: 1,
  flipped_rows: [
    {
      row: 2,
      text: 'You won!',
      label: 'spam',
      outcomes: [
        { model: 'spam@1', predicted: 'ham', score: 0.88 },
        { model: 'spam@2', predicted: 'spam', score: 0.9 },
      ],
    },
  ],
};
const evaluation = (results: ModelResult[], comparisons: Comparison[]) =>
  ({ results, comparisons }) as unknown as Evaluation;

it('an evaluation of one adapter shows its matrix, its calibration and its most certain mistakes', () => {
  const shown = evaluationTables(evaluation([first], []), plain);
  expect(shown).toContain('  true \\ predicted  ham  spam\n  ham                 1     0\n');
  expect(shown).toContain('  confidence  accuracy  rows\n       0.850     0.500     3  ██████████');
  expect(shown).toContain('  row  text      true  predicted  score\n    2  You won!  spam  ham        0.900');
});

it('a comparison shows both side by side, what only one has right, and whether that may be chance', () => {
  const shown = evaluationTables(evaluation([first, second], [comparison]), plain);
  expect(shown).toMatch(/adapter +F1 +F1 macro +accuracy +calibration error +rows\n +spam@1 +0\.667/);
  expect(shown).toContain(
    '                spam@2 right  spam@2 wrong\n  spam@1 right             2             0',
  );
  expect(shown).toContain("McNemar's test: p = 1.000; the difference may be chance");
  expect(shown).toContain('1 row is answered differently');
  expect(shown).toMatch(/2 +You won! +spam +ham 0.880 +spam 0.900$/);
});

it('a comparison that is no chance names the better adapter', () => {
  const clear = { ...comparison, only_second_right: 40, mcnemar: { discordant: 40, p_value: 1.8e-12 } };
  const shown = evaluationTables(evaluation([first, second], [clear]), plain);
  expect(shown).toContain("McNemar's test: p = 1.8e-12; spam@2 is better");
});
