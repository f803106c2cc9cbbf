import { describe, expect, it } from 'vitest';
import type { BackOff, Fold } from '../../../gpu-node/train/descent.ts';
import { type TrainingInput, train } from '../../../gpu-node/train/loop.ts';
import type { EpochResult } from '../../../gpu-node/train/state.ts';
import type { Progress } from '../../../shared/api/jobs.ts';
import type { Hyperparameters } from '../../../shared/peft-config.ts';
import { writeSafetensors } from '../../../shared/safetensors.ts';
import { openTinyBert, withFolder } from '../../support/tiny-bert.ts';
import { examplesOf, TOY_HYPERPARAMETERS, TOY_LORA, toyExamples } from '../../support/toy-task.ts';

/** Trains the toy task on tiny-bert in a folder of its own. */
function trainToy({
  training = examplesOf(toyExamples(64, 1)),
  validation = examplesOf(toyExamples(24, 2)),
  ...changes
}: Partial<TrainingInput & Fold> = {}) {
  return withFolder(async (folder) =>
    train({
      task: { base: await openTinyBert(folder), config: TOY_LORA, labels: 2 },
      hyperparameters: TOY_HYPERPARAMETERS,
      labels: ['low', 'high'],
      folds: [{ training, validation }],
      metric: 'f1',
      seed: 42,
      device: 'cpu',
      threads: 1,
      ...changes,
    }),
  );
}

const bytesOf = async (run: ReturnType<typeof trainToy>) => writeSafetensors((await run).tensors);

describe('training', () => {
  it('learns the task, and keeps the last epoch that is as good as the best', async () => {
    const epochs: EpochResult[] = [];
    const { kept, uncalibrated } = await trainToy({ onEpoch: (epoch) => epochs.push(epoch) });
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4]);
    expect(epochs.at(-1)!.loss).toBeLessThan(0.7 * epochs[0]!.loss);
    const best = Math.max(...epochs.map(({ metrics }) => metrics!.f1));
    const error = Math.sqrt((best * (1 - best)) / 24);
    const { epoch, loss, metrics } = epochs.findLast((each) => each.metrics!.f1 >= best - error)!;
    expect(kept).toEqual([{ epoch, loss }]);
    expect(uncalibrated).toEqual(metrics);
    expect(uncalibrated!.accuracy).toBeGreaterThan(0.9);
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
    const { kept, metrics } = await trainToy({ validation: examplesOf([]) });
    expect(kept).toMatchObject([{ epoch: 4 }]);
    expect(metrics).toBeNull();
  });

  it('stops three epochs after the last one that was not clearly worse than the best', async () => {
    const f1: number[] = [];
    // The learning rate rises all the way: the first epochs learn, later ones forget.
    const hyperparameters = { ...TOY_HYPERPARAMETERS, epochs: 30, learning_rate: 0.7, warmup_ratio: 1 };
    const onEpoch = ({ metrics }: EpochResult) => f1.push(metrics!.f1);
    const { kept } = await trainToy({ hyperparameters, onEpoch });
    const { epoch } = kept[0]!;
    expect(f1.length).toBe(epoch + 3);
    expect(f1.length).toBeLessThan(30);
    expect(Math.max(...f1.slice(epoch))).toBeLessThan(f1[epoch - 1]!);
  });

  it('stops between two steps when aborted', async () => {
    const controller = new AbortController();
    const onProgress = ({ step }: Progress) => {
      if (step === 3) controller.abort(new Error('cancelled'));
      if (step > 3) throw new Error(`step ${step} was run`);
    };
    await expect(trainToy({ signal: controller.signal, onProgress })).rejects.toThrow('cancelled');
  });

  it('stops before it validates when aborted', async () => {
    const controller = new AbortController();
    const onProgress = ({ step }: Progress) => {
      if (step === 8) controller.abort(new Error('cancelled'));
    };
    const onEpoch = () => {
      throw new Error('an epoch was validated');
    };
    await expect(trainToy({ signal: controller.signal, onProgress, onEpoch })).rejects.toThrow('cancelled');
  });

  it('calibrates the kept epoch: its loss falls, and no row gets another label', async () => {
    const { uncalibrated, metrics, temperature } = await trainToy();
    expect(temperature).not.toBe(1);
    expect(metrics!.loss).toBeLessThan(uncalibrated!.loss);
    const { loss: _loss, ece: _ece, ...classified } = metrics!;
    expect(uncalibrated).toMatchObject(classified);
  });

  it('has temperature 1 where nothing validates it', async () => {
    expect((await trainToy({ validation: examplesOf([]) })).temperature).toBe(1);
  });
});

describe('training in several descents', () => {
  const rows = toyExamples(48, 1);
  /** Three parts, each of which the others leave out. */
  const folds: Fold[] = [0, 1, 2].map((part) => ({
    training: examplesOf(rows.filter((_, i) => i % 3 !== part)),
    validation: examplesOf(rows.filter((_, i) => i % 3 === part)),
  }));

  it('validates every row, by the descent that has not seen it, and learns', async () => {
    const { metrics, kept } = await trainToy({ folds });
    expect(metrics!.examples).toBe(48);
    expect(metrics!.accuracy).toBeGreaterThan(0.9);
    expect(kept).toHaveLength(3);
  });

  it('reports steps and epochs of all of them as one way', async () => {
    const seen: Progress[] = [];
    const epochs: string[] = [];
    await trainToy({
      folds,
      onProgress: (progress) => seen.push(progress),
      onEpoch: ({ epoch }, fold) => epochs.push(`${fold}.${epoch}`),
    });
    expect(seen.map(({ step }) => step)).toEqual(Array.from({ length: 48 }, (_, i) => i + 1));
    expect(seen.at(-1)).toMatchObject({ step: 48, steps: 48, epoch: 4, eta_seconds: 0 });
    expect(epochs).toEqual([1, 2, 3].flatMap((fold) => [1, 2, 3, 4].map((epoch) => `${fold}.${epoch}`)));
  });

  it('gives the same bytes for the same seed', async () => {
    const first = await bytesOf(trainToy({ folds }));
    expect(await bytesOf(trainToy({ folds }))).toEqual(first);
  });
});

describe('training that diverges', () => {
  /** Trains at a learning rate, and gives what happened in order. */
  async function trainAt(learning_rate: number, changes: Partial<Hyperparameters> = {}) {
    const backOffs: BackOff[] = [];
    const epochs: number[] = [];
    const steps: number[] = [];
    const outcome = await trainToy({
      hyperparameters: { ...TOY_HYPERPARAMETERS, learning_rate, ...changes },
      onBackOff: (backOff) => backOffs.push(backOff),
      onEpoch: ({ epoch }) => epochs.push(epoch),
      onProgress: ({ step }) => steps.push(step),
    });
    return { outcome, backOffs, epochs, steps };
  }

  it('starts over with a tenth of the learning rate, and learns', async () => {
    const { outcome, backOffs, epochs, steps } = await trainAt(1);
    expect(backOffs).toMatchObject([{ epoch: 0, learningRate: 0.1, steps: 32 }]);
    expect(backOffs[0]!.loss).toBeGreaterThan(2 * Math.log(2));
    expect(backOffs[0]!.reason).toContain('that of guessing is 0.69');
    expect(epochs.slice(-4)).toEqual([1, 2, 3, 4]);
    expect(steps.slice(-32)).toEqual(Array.from({ length: 32 }, (_, i) => i + 1));
    expect(outcome.metrics!.f1).toBeGreaterThan(0.9);
  });

  it('goes back to an epoch that was good', async () => {
    // The learning rate rises all the way: the first epochs learn.
    const { outcome, backOffs } = await trainAt(1, { warmup_ratio: 1, max_grad_norm: 1000 });
    expect(backOffs).toMatchObject([{ learningRate: 0.1 }]);
    expect(backOffs[0]!.epoch).toBeGreaterThanOrEqual(1);
    expect(outcome.kept[0]!.epoch).toBeGreaterThanOrEqual(backOffs[0]!.epoch);
    expect(outcome.metrics!.f1).toBeGreaterThan(0.9);
  });

  it('is the same each time', async () => {
    const runs = [await trainAt(1), await trainAt(1)].map(({ outcome, ...said }) => {
      return { ...said, bytes: writeSafetensors(outcome.tensors) };
    });
    expect(runs[0]).toEqual(runs[1]);
  });

  it.each([
    [1e38, 'the loss is no longer a finite number', '1e+37'],
    [100, 'that of guessing is 0.69', '10'],
  ])('fails at a learning rate of %s, which is lowered once', async (learning_rate, reason, lowered) => {
    await expect(trainAt(learning_rate)).rejects.toMatchObject({
      code: 'training_failed',
      param: 'hyperparameters.learning_rate',
      message: expect.stringMatching(
        new RegExp(
          `at step \\d+ of 32, again after .* ${lowered.replace('+', '\\+')}: .*${reason}; lower learning_rate`,
        ),
      ),
    });
  });
});
