import { describe, expect, it } from 'vitest';
import type { BaseModel } from '../../../gpu-node/models/model.ts';
import { Random } from '../../../gpu-node/random.ts';
import type { TrainingExample } from '../../../gpu-node/train/parts.ts';
import { TrainingRunner } from '../../../gpu-node/train/runner.ts';
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

function taskOf(
  base: BaseModel,
  { dropout = 0, classWeights }: { dropout?: number; classWeights?: number[] },
) {
  return { base, config: { ...TOY_LORA, dropout }, labels: 3, ...(classWeights && { classWeights }) };
}

function withRunner<T>(
  use: (runner: TrainingRunner) => Promise<T>,
  options: { threads?: number; dropout?: number; classWeights?: number[] } = {},
): Promise<T> {
  return withFolder(async (folder) => {
    const task = taskOf(await openTinyBert(folder), options);
    const { threads = 1 } = options;
    const runner = await TrainingRunner.create(task, { seed: 1, device: 'cpu', threads });
    const result = await use(runner);
    await runner.release();
    return result;
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
      { classWeights: [0.5, 1, 3] },
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

describe('a batch on several threads', () => {
  const examples = longExamples(21);

  it('has the loss, gradients and logits that it has on one', async () => {
    const compute = async (runner: TrainingRunner) => {
      const { loss, gradients } = await runner.step(examples);
      return { loss, gradients, logits: await runner.logits(examples) };
    };
    const [one, three] = [await withRunner(compute), await withRunner(compute, { threads: 3 })];
    expect(three.loss).toBeCloseTo(one.loss, 5);
    three.gradients.forEach((gradient, i) => {
      expect(maxDifference(gradient, one.gradients[i]!)).toBeLessThan(1e-6);
    });
    three.logits.forEach((row, i) => {
      expect(maxDifference(row, one.logits[i]!)).toBeLessThan(1e-5);
    });
  });

  it('has the same bytes each time, dropout included', async () => {
    const step = () => withRunner((runner) => runner.step(examples), { threads: 3, dropout: 0.1 });
    expect(await step()).toEqual(await step());
  });

  it('may have fewer examples than there are threads', () =>
    withRunner(
      async (runner) => {
        const { loss } = await runner.step(examples.slice(0, 1));
        expect(loss).toBeGreaterThan(0);
      },
      { threads: 3 },
    ));
});

describe('a runner whose sessions cannot be built', () => {
  it('says why, and leaves no thread behind', () =>
    withFolder(async (folder) => {
      const base = { ...(await openTinyBert(folder)), weightsFolder: `${folder}/elsewhere` };
      const created = TrainingRunner.create(taskOf(base, {}), { seed: 1, device: 'cpu', threads: 2 });
      await expect(created).rejects.toThrow('training: the runtime rejects the model');
      expect(process.getActiveResourcesInfo()).not.toContain('MessagePort');
    }));
});
