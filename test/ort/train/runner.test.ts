import { describe, expect, it } from 'vitest';
import type { BaseModel } from '../../../gpu-node/models/model.ts';
import { Random } from '../../../gpu-node/random.ts';
import { type TrainingExample, TrainingRunner } from '../../../gpu-node/train/runner.ts';
import { maxDifference, openTinyBert, withFolder } from '../../support/tiny-bert.ts';
import { TOY_LORA } from '../../support/toy-task.ts';

/** Texts of 40 to 64 tokens, the longest tiny-bert takes. */
function longExamples(count: number): TrainingExample[] {
  const random = new Random(9, 'long');
  return Array.from({ length: count }, (_, i) => ({
    ids: Int32Array.from({ length: 40 + random.below(25) }, () => 5 + random.below(190)),
    label: i % 3,
  }));
}

function withRunner(use: (runner: TrainingRunner) => Promise<void>, classWeights?: number[]) {
  return withFolder(async (folder) => {
    const base: BaseModel = await openTinyBert(folder);
    const config = { ...TOY_LORA, dropout: 0 };
    const task = { base, config, labels: 3, ...(classWeights && { classWeights }) };
    const runner = await TrainingRunner.create(task, { seed: 1, device: 'cpu', threads: 1 });
    await use(runner);
    await runner.release();
  });
}

describe('a batch that is larger than one run', () => {
  it('has the loss and gradients of its parts together, weighted by class', () =>
    withRunner(
      async (runner) => {
        const examples = longExamples(60);
        const halves = [examples.slice(0, 30), examples.slice(30)];
        const whole = await runner.step(examples);
        const [first, second] = [await runner.step(halves[0]!), await runner.step(halves[1]!)];
        expect(whole.loss).toBeCloseTo((first.loss + second.loss) / 2, 5);
        whole.gradients.forEach((gradient, i) => {
          const expected = first.gradients[i]!.map((g, at) => (g + second.gradients[i]![at]!) / 2);
          expect(maxDifference(gradient, expected)).toBeLessThan(1e-6);
        });
      },
      [0.5, 1, 3],
    ));

  it('has its logits in the order of its examples', () =>
    withRunner(async (runner) => {
      const examples = longExamples(80);
      const together = await runner.logits(examples);
      for (const i of [0, 41, 79]) {
        const [alone] = await runner.logits([examples[i]!]);
        expect(maxDifference(together[i]!, alone!)).toBeLessThan(1e-5);
      }
    }));
});
