import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../../gpu-node/random.ts';
import { Evaluation } from '../../../gpu-node/tasks/evaluation.ts';
import type { Answer } from '../../../gpu-node/tasks/task.ts';
import { type StoredEvaluationResult, storedEvaluationResult } from '../../../shared/api/evaluations.ts';
import type { Example } from '../../../shared/api/rows.ts';
import { computeMetrics } from '../../../shared/metrics.ts';
import { unpackMetrics } from '../../../shared/packed-metrics.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-evaluation-'));
});
afterAll(() => rm(folder, { recursive: true }));

const LABELS = ['ham', 'spam'];
const of = (...models: string[]) => new Evaluation(models.map((ref) => ({ ref, labels: LABELS })));
/** An answer by the score of "spam". */
const answer = (spam: number, truncated = false): Answer => ({
  scores: [1 - spam, spam],
  tokens: 1,
  truncated,
});
const row = (label: string, text = `text of ${label}`): Example => ({ text, label });

async function finish(evaluation: Evaluation, rows: readonly Example[]): Promise<StoredEvaluationResult> {
  const [file, output] = [join(folder, 'rows.jsonl'), join(folder, 'result')];
  await writeFile(file, rows.map((each) => `${JSON.stringify(each)}\n`).join(''));
  await evaluation.finish(file, output);
  return storedEvaluationResult.parse(JSON.parse(await readFile(output, 'utf8')));
}

describe('an evaluation', () => {
  it('gives the metrics that training gives of the same scores', async () => {
    const random = new Random(5, 'rows');
    const rows = Array.from({ length: 200 }, () => row(LABELS[random.below(2)]!));
    const scores = rows.map(
      ({ label }) => (label === 'spam' ? 0.3 : 0.1) + 0.6 * (random.below(1000) / 1000),
    );
    const evaluation = of('a@1');
    for (const [i, each] of rows.entries()) evaluation.take(each, [answer(scores[i]!)]);
    const { results } = await finish(evaluation, rows);
    const expected = computeMetrics(
      LABELS,
      rows.map(({ label }) => LABELS.indexOf(label)),
      scores.map((spam) => [Math.log(1 - spam), Math.log(spam)]),
    );
    const { loss, ece, ...counted } = unpackMetrics(results[0]!.metrics);
    expect(counted).toEqual({ ...expected, loss: undefined, ece: undefined });
    expect(loss).toBeCloseTo(expected.loss, 10);
    expect(ece).toBeCloseTo(expected.ece, 10);
    const bins = results[0]!.calibration;
    expect(bins.reduce((sum, bin) => sum + bin.rows, 0)).toBe(200);
    const gap = bins.reduce((sum, bin) => sum + bin.rows * Math.abs(bin.confidence - bin.accuracy), 0);
    expect(gap / 200).toBeCloseTo(expected.ece, 10);
  });

  it('shows the most certain mistakes with their rows and texts, long ones cut', async () => {
    const rows = [
      row('ham', 'fine'),
      row('ham', 'x'.repeat(600)),
      row('spam', 'missed'),
      row('spam', 'found'),
    ];
    const evaluation = of('a@1');
    for (const [i, spam] of [0.1, 0.8, 0.05, 0.9].entries())
      evaluation.take(rows[i]!, [answer(spam, i === 1)]);
    const { results } = await finish(evaluation, rows);
    expect(results[0]!.mistakes).toEqual([
      { row: 3, text: 'missed', label: 'spam', predicted: 'ham', score: 0.95 },
      { row: 2, text: `${'x'.repeat(499)}…`, label: 'ham', predicted: 'spam', score: 0.8 },
    ]);
    expect(results[0]!.truncated).toBe(1);
  });

  it('counts labels that the model does not have as wrong, and names them', async () => {
    const rows = [row('ham'), row('offer'), row('offer'), row('news')];
    const evaluation = of('a@1');
    for (const each of rows) evaluation.take(each, [answer(0.25)]);
    const [result] = (await finish(evaluation, rows)).results;
    expect(result!.labels).toEqual(['ham', 'spam', 'news', 'offer']);
    expect(result!.unknown_labels).toEqual({ news: 1, offer: 2 });
    expect(result!.metrics.accuracy).toBe(0.25);
    expect(result!.metrics.loss).toBeGreaterThan(20);
    expect(unpackMetrics(result!.metrics).confusion_matrix).toEqual([
      [1, 0, 0, 0],
      [0, 0, 0, 0],
      [1, 0, 0, 0],
      [2, 0, 0, 0],
    ]);
  });

  it('compares each two models: who is right where, the test, and the rows that flipped', async () => {
    const rows = [row('spam', 'both'), row('spam', 'first'), row('ham', 'second'), row('ham', 'first again')];
    const evaluation = of('a@2', 'a@1', 'b@1');
    const scores = [
      [0.9, 0.9, 0.9],
      [0.8, 0.3, 0.9],
      [0.6, 0.4, 0.9],
      [0.1, 0.99, 0.9],
    ];
    for (const [i, each] of scores.entries())
      evaluation.take(
        rows[i]!,
        each.map((spam) => answer(spam)),
      );
    const { comparisons } = await finish(evaluation, rows);
    expect(comparisons.map(({ models }) => models)).toEqual([
      ['a@2', 'a@1'],
      ['a@2', 'b@1'],
      ['a@1', 'b@1'],
    ]);
    expect(comparisons[0]).toMatchObject({
      both_right: 1,
      only_first_right: 2,
      only_second_right: 1,
      both_wrong: 0,
      mcnemar: { discordant: 3, p_value: 1 },
      flipped: 3,
    });
    expect(comparisons[0]!.flipped_rows.map(({ text }) => text)).toEqual(['first again', 'first', 'second']);
    expect(comparisons[0]!.flipped_rows[0]!.outcomes).toEqual([
      { model: 'a@2', predicted: 'ham', score: 0.9 },
      { model: 'a@1', predicted: 'spam', score: 0.99 },
    ]);
  });

  it('that goes on from the lines of an earlier attempt gives the same bytes', async () => {
    const random = new Random(9, 'rows');
    const rows = Array.from({ length: 50 }, (_, i) => row(LABELS[random.below(2)]!, `text ${i}`));
    const answers = rows.map(() => [
      answer(Math.fround(random.below(997) / 997)),
      answer(1 / (1 + random.below(9))),
    ]);
    const [whole, first, second] = [of('a@1', 'a@2'), of('a@1', 'a@2'), of('a@1', 'a@2')];
    for (const [i, each] of rows.entries()) whole.take(each, answers[i]!);
    const lines = rows.slice(0, 20).map((each, i) => first.take(each, answers[i]!));
    for (const [i, line] of lines.entries()) second.restore(rows[i]!, line);
    for (let i = 20; i < rows.length; i++) second.take(rows[i]!, answers[i]!);
    expect(await finish(second, rows)).toEqual(await finish(whole, rows));
  });
});
