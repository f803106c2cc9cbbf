import { BLENDS } from '../../gpu-node/train/blend.ts';
import {
  BLEND_LOGITS,
  decodeCheckpoint,
  LOGITS,
  type SavedState,
  type TrainingPosition,
  type TrainingShape,
} from '../../gpu-node/train/checkpoint.ts';
import { FoldMean } from '../../gpu-node/train/fold-mean.ts';
import { ProgressMeter } from '../../gpu-node/train/progress.ts';
import { TrainingState } from '../../gpu-node/train/state.ts';
import { computeMetrics } from '../../shared/metrics.ts';
import { TOY_HYPERPARAMETERS } from '../../test/support/toy-task.ts';
import type { Choices } from './choices.ts';
import { jsonText } from './grammar/json.ts';
import { safetensorsBytes } from './grammar/safetensors.ts';
import { expect, expectEqual, outcomeOf } from './oracle.ts';
import type { Check } from './target.ts';

const TASK = 'a'.repeat(64);
const LABELS = ['low', 'high'];
const ROWS = [0, 1, 1];
const STEPS_PER_EPOCH = 5;
const LENGTHS = Array.from({ length: 40 }, (_, i) => 5 + (i % 7));
const PARAMETERS = [
  { name: 'lora_A', shape: [2, 3] },
  { name: 'head', shape: [4] },
];

/** Fuzzes a training's state as a store returns it: it is refused in words, or training resumes from it as from its own. */
export function checkpoint(): Check {
  return async (choices) => {
    const parameters = PARAMETERS.map(({ name, shape }) => ({
      name,
      shape,
      data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
    }));
    const shape: TrainingShape = {
      parameters,
      labels: 2,
      epochs: 3,
      folds: [
        { validationRows: ROWS.length, stepsPerEpoch: STEPS_PER_EPOCH },
        { validationRows: ROWS.length, stepsPerEpoch: STEPS_PER_EPOCH },
      ],
    };
    const file = choices.note('file', fileOf(choices));
    const outcome = await outcomeOf(() => decodeCheckpoint(file, TASK, shape));
    if ('refused' in outcome) return;
    const mean = new FoldMean(shape);
    mean.restore(outcome.value);
    const number = mean.finished.length;
    const state = new TrainingState({
      shape: { ...shape, ...shape.folds[number]! },
      hyperparameters: TOY_HYPERPARAMETERS,
      seed: 1,
      number,
      meter: new ProgressMeter(30, 3),
      stepsBefore: 15 * number,
      parameters,
    });
    state.restore(outcome.value, (logits) =>
      computeMetrics(
        LABELS,
        ROWS,
        [0, 2, 4].map((at) => logits.subarray(at, at + 2)),
      ),
    );
    expectEqual(
      lasting(mean.save(state.save())),
      lasting(outcome.value),
      'a state and what is saved of it once training has taken it up',
    );
    const left = state.batchesLeft(LENGTHS);
    expectEqual(
      left.length,
      STEPS_PER_EPOCH - state.batch,
      'the batches that are left and those of an epoch without the done ones',
    );
    state.optimizer.step(
      parameters.map(({ data }) => data.map(() => 0.1)),
      0.01,
    );
    state.average.update();
    for (const { name, data } of parameters)
      expect(data.every(Number.isFinite), `after a step ${name} is not finite`);
    state.goBack();
  };
}

/** A state without the time that has passed. */
function lasting({ position: { meter, ...position }, tensors }: SavedState) {
  return { ...position, tokens: meter.tokens, steps: meter.steps_run, tensors: [...tensors].sort() };
}

function fileOf(choices: Choices): Uint8Array {
  const isFirst = choices.rarely(3);
  const isSecond = choices.rarely(3);
  const position: TrainingPosition = {
    epoch: isFirst ? 1 : 2,
    batch: choices.usually([3, 0, 5]),
    loss: choices.usually([0.5, 0, -1, 1e308]),
    backed_off: choices.rarely(2),
    kept: isFirst ? null : { epoch: 1, loss: choices.usually([0.5, 1e308]) },
    order: [1, 2, 3, 0xffffffff],
    finished: isSecond ? [{ epoch: choices.usually([3, 1]), loss: choices.usually([0.5, 1e308]) }] : [],
    descent: {
      steps: choices.usually([3, 0, 2 ** 53 - 1, 2 ** 31]),
      watched: choices.usually([0.7, 1e308, -1e308]),
      best_f1: choices.pick([null, 0.9, 0]),
    },
    meter: {
      steps_run: choices.usually([3, 0, 2 ** 53 - 1]),
      tokens: choices.pick([100, 0]),
      seconds: choices.usually([1.5, 0, 1e308]),
    },
  };
  const header = jsonText({ format: 1, task: TASK, machine: 'x64, 2 threads', position }, choices);
  const kinds = [
    ...['parameter', 'mean', 'square', 'average', 'start'],
    ...(isFirst ? [] : ['kept']),
    ...(isSecond ? ['starts', 'ends'] : []),
  ];
  const shapes = new Map<string, readonly number[]>(
    kinds.flatMap((kind) => PARAMETERS.map(({ name, shape }) => [`${kind}/${name}`, shape] as const)),
  );
  if (!isFirst) shapes.set(LOGITS, [ROWS.length, 2]);
  if (isSecond) shapes.set(BLEND_LOGITS, [BLENDS.length, ROWS.length, 2]);
  return safetensorsBytes(shapes, { checkpoint: header }, choices);
}
