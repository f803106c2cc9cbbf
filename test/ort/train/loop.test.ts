import { describe, expect, it } from 'vitest';
import { type EpochResult, type TrainingInput, train } from '../../../gpu-node/train/loop.ts';
import type { Progress } from '../../../shared/api/jobs.ts';
import { writeSafetensors } from '../../../shared/safetensors.ts';
import { openTinyBert, withFolder } from '../../support/tiny-bert.ts';
import { examplesOf, TOY_HYPERPARAMETERS, TOY_LORA, toyExamples } from '../../support/toy-task.ts';

/** Trains the toy task on tiny-bert in a folder of its own. */
function trainToy(changes: Partial<TrainingInput> = {}) {
  return withFolder(async (folder) =>
    train({
      task: { base: await openTinyBert(folder), config: TOY_LORA, labels: 2 },
      hyperparameters: TOY_HYPERPARAMETERS,
      labels: ['low', 'high'],
      training: examplesOf(toyExamples(64, 1)),
      validation: examplesOf(toyExamples(24, 2)),
      seed: 42,
      device: 'cpu',
      threads: 1,
      ...changes,
    }),
  );
}

const bytesOf = async (run: ReturnType<typeof trainToy>) => writeSafetensors((await run).tensors);

describe('training', () => {
  it('learns the task, and keeps the best epoch', async () => {
    const epochs: EpochResult[] = [];
    const { best } = await trainToy({ onEpoch: (epoch) => epochs.push(epoch) });
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4]);
    expect(epochs.at(-1)!.loss).toBeLessThan(0.7 * epochs[0]!.loss);
    expect(best.metrics!.f1).toBe(Math.max(...epochs.map(({ metrics }) => metrics!.f1)));
    expect(best.metrics!.accuracy).toBeGreaterThan(0.9);
  });

  it('gives the same bytes for the same seed, and others for another', async () => {
    const first = await bytesOf(trainToy());
    expect(await bytesOf(trainToy())).toEqual(first);
    expect(await bytesOf(trainToy({ seed: 43 }))).not.toEqual(first);
  });

  it('reports every step', async () => {
    const seen: Progress[] = [];
    const examples = toyExamples(20, 1);
    const training = examplesOf(examples);
    const { trainedTokens } = await trainToy({ training, onProgress: (progress) => seen.push(progress) });
    expect(seen.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    expect(seen.at(-1)).toMatchObject({ step: 12, steps: 12, epoch: 4, eta_seconds: 0 });
    expect(trainedTokens).toBe(4 * examples.reduce((sum, { ids }) => sum + ids.length, 0));
  });

  it('keeps the last epoch where nothing validates it', async () => {
    const { best } = await trainToy({ validation: examplesOf([]) });
    expect(best).toMatchObject({ epoch: 4, metrics: null });
  });

  it('stops early where epochs no longer help', async () => {
    const epochs: number[] = [];
    const hyperparameters = { ...TOY_HYPERPARAMETERS, epochs: 30, learning_rate: 1e-9 };
    await trainToy({ hyperparameters, onEpoch: ({ epoch }) => epochs.push(epoch) });
    expect(epochs.length).toBeLessThan(30);
  });

  it('stops between two steps when aborted', async () => {
    const controller = new AbortController();
    const onProgress = ({ step }: Progress) => {
      if (step === 3) controller.abort(new Error('cancelled'));
      if (step > 3) throw new Error(`step ${step} was run`);
    };
    await expect(trainToy({ signal: controller.signal, onProgress })).rejects.toThrow('cancelled');
  });

  it('says so when the loss is no longer a number', async () => {
    const hyperparameters = { ...TOY_HYPERPARAMETERS, learning_rate: 1e38 };
    await expect(trainToy({ hyperparameters })).rejects.toMatchObject({
      code: 'training_failed',
      message: expect.stringContaining('lower learning_rate (1e+38)'),
    });
  });
});
