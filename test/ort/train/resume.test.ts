import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Examples } from '../../../gpu-node/data/examples.ts';
import type { BaseModel } from '../../../gpu-node/models/model.ts';
import { CheckpointFile } from '../../../gpu-node/train/checkpoint-file.ts';
import type { Fold } from '../../../gpu-node/train/descent.ts';
import { type TrainingInput, type TrainingOutcome, train } from '../../../gpu-node/train/loop.ts';
import type { CheckpointSpec, TrainingEvent } from '../../../gpu-node/train/protocol.ts';
import type { Hyperparameters, PeftConfig } from '../../../shared/peft-config.ts';
import { writeSafetensors } from '../../../shared/safetensors.ts';
import { idsFor, METHOD_CONFIGS } from '../../support/method-configs.ts';
import { openTinyBert, withFolder } from '../../support/tiny-bert.ts';
import { examplesOf, TOY_HYPERPARAMETERS, TOY_LORA, toyExamples } from '../../support/toy-task.ts';

const STEPS_PER_EPOCH = 8;
const MACHINE = 'this machine';

/** Of each method a configuration with all that it draws while it trains, its dropout; and one in which all weights are trained. */
const METHODS = [
  ...Object.entries(METHOD_CONFIGS).map(([name, [, config]]) => {
    const dropout = 'dropout' in config! && { dropout: 0.3 };
    const encoder = 'encoder_dropout' in config! && { encoder_dropout: 0.3 };
    return [name, { ...config, ...dropout, ...encoder } as PeftConfig] as const;
  }),
  ['full', { type: 'full', pooling: 'cls', base_precision: 'fp32' }] as const,
];

function examplesFor(config: PeftConfig, count: number, seed: number): Examples {
  return examplesOf(toyExamples(count, seed).map((text) => ({ ...text, ...idsFor(config, text) })));
}

const inputOf = (
  base: BaseModel,
  changes: Partial<Hyperparameters> = {},
  config: PeftConfig = TOY_LORA,
): TrainingInput => ({
  task: { base, config, labels: 2 },
  hyperparameters: { ...TOY_HYPERPARAMETERS, ...changes },
  labels: ['low', 'high'],
  folds: [{ training: examplesFor(config, 64, 1), validation: examplesFor(config, 24, 2) }],
  metric: 'f1',
  seed: 42,
  device: 'cpu',
  threads: 1,
});

/** Of unlike sizes: 3, 2 and 3 steps an epoch. */
const THREE_FOLDS: readonly Fold[] = [
  [24, 8],
  [16, 5],
  [20, 11],
].map(([training, validation], i) => ({
  training: examplesFor(TOY_LORA, training!, 10 + i),
  validation: examplesFor(TOY_LORA, validation!, 20 + i),
}));

/** Everything that a training comes to, in bytes and words. */
const resultOf = ({ tensors, ...rest }: TrainingOutcome) => ({ ...rest, bytes: writeSafetensors(tensors) });

async function sha256Of(file: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
}

/** Where an attempt is stopped, from what it has said so far. */
type StopWhen = (said: { steps: number; epochs: number; backOffs: number }) => boolean;

class Attempts {
  readonly events: TrainingEvent[] = [];
  /** Steps that were run in all. */
  steps = 0;
  #count = 0;
  readonly #folder: string;
  readonly #input: TrainingInput;
  #resume: CheckpointSpec['resume'] = null;

  constructor(folder: string, input: TrainingInput) {
    this.#folder = folder;
    this.#input = input;
  }

  /** One attempt, which goes on from where the last one stopped. Undefined where it is stopped. */
  async run(stopWhen: StopWhen = () => false, machine = MACHINE): Promise<TrainingOutcome | undefined> {
    const attempt = ++this.#count;
    const file = join(this.#folder, `checkpoint-${attempt}`);
    const controller = new AbortController();
    const said = { steps: 0, epochs: 0, backOffs: 0 };
    const hear = (what: keyof typeof said) => () => {
      said[what]++;
      if (stopWhen(said)) controller.abort(new Error('stopped'));
    };
    const checkpoints = new CheckpointFile({
      file,
      interval: Number.POSITIVE_INFINITY,
      resume: this.#resume,
      task: 'a'.repeat(64),
      machine,
      onEvent: (event) => this.events.push(event),
      onSaved: () => {},
    });
    try {
      return await train({
        ...this.#input,
        signal: controller.signal,
        checkpoints,
        onProgress: hear('steps'),
        onEpoch: hear('epochs'),
        onBackOff: hear('backOffs'),
      });
    } catch (error) {
      if (error !== controller.signal.reason) throw error;
      this.#resume = { file, attempt, sha256: await sha256Of(file) };
      return undefined;
    } finally {
      this.steps += said.steps;
    }
  }
}

/** Trains once without a stop and once with stops; gives both results. */
function compare(
  changes: Partial<Hyperparameters>,
  stops: readonly StopWhen[],
  config?: PeftConfig,
  folds?: readonly Fold[],
) {
  return withFolder(async (folder) => {
    const input = { ...inputOf(await openTinyBert(folder), changes, config), ...(folds && { folds }) };
    let backOffs = 0;
    const whole = resultOf(await train({ ...input, onBackOff: () => backOffs++ }));
    const attempts = new Attempts(folder, input);
    for (const stop of stops) expect(await attempts.run(stop)).toBeUndefined();
    const pieces = resultOf((await attempts.run())!);
    return { whole, pieces, backOffs, attempts, messages: attempts.events.map(({ message }) => message) };
  });
}

const afterSteps =
  (count: number): StopWhen =>
  ({ steps }) =>
    steps === count;
const afterEpochs =
  (count: number): StopWhen =>
  ({ epochs }) =>
    epochs === count;

describe('training that is stopped and goes on', () => {
  it.each([
    ['after the first step', [afterSteps(1)], 'goes on from step 1 of epoch 1'],
    ['in the middle of an epoch', [afterSteps(STEPS_PER_EPOCH + 3)], 'goes on from step 3 of epoch 2'],
    ['before an epoch is validated', [afterSteps(2 * STEPS_PER_EPOCH)], 'goes on from step 8 of epoch 2'],
    ['after an epoch', [afterEpochs(2)], 'goes on from step 0 of epoch 3'],
    ['in the last epoch', [afterSteps(4 * STEPS_PER_EPOCH - 1)], 'goes on from step 7 of epoch 4'],
  ])('%s ends in the same bytes', async (_where, stops, message) => {
    const { whole, pieces, messages, attempts } = await compare({}, stops);
    expect(pieces).toEqual(whole);
    expect(messages).toEqual([`${message}, from a checkpoint of attempt 1`]);
    expect(attempts.steps).toBe(4 * STEPS_PER_EPOCH);
  });

  it('after every third step ends in the same bytes', async () => {
    const stops = Array.from({ length: 10 }, () => afterSteps(3));
    const { whole, pieces, messages } = await compare({}, stops);
    expect(pieces).toEqual(whole);
    expect(messages).toHaveLength(stops.length);
    expect(messages.at(-1)).toBe('goes on from step 6 of epoch 4, from a checkpoint of attempt 10');
  });

  it.each(METHODS)('ends in the same bytes with %s', async (_name, config) => {
    const { whole, pieces } = await compare({ epochs: 1 }, [afterSteps(3)], config);
    expect(pieces).toEqual(whole);
  });

  it.each<[string, readonly StopWhen[]]>([
    ['in the first', [afterSteps(5)]],
    ['between the first and the second', [afterEpochs(2)]],
    ['in the second', [afterSteps(8)]],
    ['in each', [afterSteps(3), afterSteps(5), afterSteps(5)]],
  ])('of several descents, %s, ends in the same bytes', async (_where, stops) => {
    const { whole, pieces } = await compare({ epochs: 2 }, stops, TOY_LORA, THREE_FOLDS);
    expect(pieces).toEqual(whole);
    expect(whole.kept).toHaveLength(3);
  });

  it('after epochs that were clearly worse ends as early', async () => {
    const worsening = { epochs: 30, learning_rate: 0.7, warmup_ratio: 1 };
    const { whole, pieces, attempts } = await compare(worsening, [afterEpochs(10)]);
    expect(pieces).toEqual(whole);
    expect(attempts.steps).toBeLessThan(30 * STEPS_PER_EPOCH);
  });

  it.each<[string, StopWhen]>([
    ['before it goes back from a divergence', afterSteps(2)],
    ['as it goes back', ({ backOffs }) => backOffs === 1],
    ['after it has gone back', ({ backOffs, epochs }) => backOffs === 1 && epochs >= 2],
  ])('%s ends in the same bytes', async (_where, stop) => {
    const { whole, pieces, backOffs } = await compare({ learning_rate: 1 }, [stop]);
    expect(backOffs).toBe(1);
    expect(pieces).toEqual(whole);
  });

  it('goes back to an epoch that an earlier attempt kept', async () => {
    const { whole, pieces, backOffs } = await compare(
      { learning_rate: 1, warmup_ratio: 1, max_grad_norm: 1000 },
      [afterEpochs(1), afterSteps(1)],
    );
    expect(backOffs).toBe(1);
    expect(pieces).toEqual(whole);
  });

  it('on another machine says that the result may differ', () =>
    withFolder(async (folder) => {
      const attempts = new Attempts(folder, inputOf(await openTinyBert(folder)));
      await attempts.run(afterSteps(3));
      expect(await attempts.run(undefined, 'that machine')).toBeDefined();
      expect(attempts.events).toMatchObject([
        {
          message:
            'goes on from step 3 of epoch 1, from a checkpoint of attempt 1; it was made on this machine, and this is that machine: the result may differ in its last digits',
          data: { same_machine: false },
        },
      ]);
    }));
});
