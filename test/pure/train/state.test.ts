import { expect, it } from 'vitest';
import { Random } from '../../../gpu-node/random.ts';
import { decodeCheckpoint, encodeCheckpoint, type SavedDescent } from '../../../gpu-node/train/checkpoint.ts';
import { ProgressMeter } from '../../../gpu-node/train/progress.ts';
import { TrainingState } from '../../../gpu-node/train/state.ts';
import { computeMetrics } from '../../../shared/metrics.ts';
import { TOY_HYPERPARAMETERS } from '../../support/toy-task.ts';

const LABELS = ['low', 'high'];
const ACTUAL = [0, 1, 1];
const LENGTHS = Array.from({ length: 40 }, (_, i) => 5 + (i % 7));

const metricsOf = (logits: Float32Array) =>
  computeMetrics(LABELS, ACTUAL, [logits.subarray(0, 2), logits.subarray(2, 4), logits.subarray(4)]);

function newState() {
  const random = new Random(1, 'values');
  const parameters = [
    { name: 'a', shape: [2, 3], data: Float32Array.from({ length: 6 }, () => random.normal()) },
    { name: 'b', shape: [4], data: Float32Array.from({ length: 4 }, () => random.normal()) },
  ];
  const fold = { validationRows: 3, stepsPerEpoch: 5 };
  const common = { parameters, labels: 2, epochs: 4 };
  const state = new TrainingState({
    shape: { ...common, ...fold },
    hyperparameters: TOY_HYPERPARAMETERS,
    seed: 1,
    number: 0,
    meter: new ProgressMeter(20, 4),
    stepsBefore: 0,
    parameters,
  });
  return { state, parameters, shape: { ...common, folds: [fold] } };
}

type Subject = ReturnType<typeof newState>;

/** Runs what is left of the epoch, up to `most` steps, on gradients that are random. */
function step({ state, parameters }: Subject, most: number): void {
  const random = new Random(state.meter.step, 'gradients');
  for (const batch of state.batchesLeft(LENGTHS).slice(0, most)) {
    const gradients = parameters.map(({ data }) => data.map(() => random.normal() + batch[0]!));
    state.meter.advance(batch.length, 0.5);
    state.watch.step(0.5 + 0.1 * state.batch, 1);
    state.optimizer.step(gradients, 0.01);
    state.average.update();
    state.loss += 0.3;
    state.batch += 1;
  }
}

/** All but the time that has passed. */
function lasting({ position, tensors }: SavedDescent) {
  const { meter, ...rest } = position;
  return { ...rest, tokens: meter.tokens, run: meter.steps_run, tensors: structuredClone(tensors) };
}

it('comes back whole, and then goes the same way', () => {
  const first = newState();
  step(first, 5);
  const logits = Float32Array.of(2, 1, 0, 3, 1, 0);
  const result = { epoch: 1, loss: first.state.loss, metrics: metricsOf(logits) };
  first.state.kept = { tensors: first.state.tensors(), result, logits };
  first.state.bestF1 = 0.75;
  first.state.nextEpoch();
  first.state.backedOff = true;
  step(first, 3);
  const saved = first.state.save();
  const task = 'a'.repeat(64);
  const position = { ...saved.position, finished: [] };
  const file = encodeCheckpoint({ ...saved, position, task, machine: 'here' });

  const second = newState();
  second.state.restore(decodeCheckpoint(file, task, second.shape), metricsOf);
  expect(second.state.kept).toEqual(first.state.kept);
  expect(second.state.start).toEqual(first.state.start);
  expect(second.state.meter.step).toBe(8);
  expect(lasting(second.state.save())).toEqual(lasting(saved));

  for (const each of [first, second]) {
    step(each, 5);
    each.state.nextEpoch();
    step(each, 2);
  }
  expect(second.state.meter.step).toBe(12);
  expect(lasting(second.state.save())).toEqual(lasting(first.state.save()));
});

it('begins a new descent where it goes back: from the kept epoch, or the start', () => {
  const subject = newState();
  const { state, parameters } = subject;
  const start = state.tensors();
  step(subject, 5);
  const logits = Float32Array.of(2, 1, 0, 3, 1, 0);
  const result = { epoch: 1, loss: state.loss, metrics: metricsOf(logits) };
  state.kept = { tensors: state.tensors(), result, logits };
  state.nextEpoch();
  step(subject, 2);
  state.goBack();
  expect(state).toMatchObject({ epoch: 2, batch: 0, loss: 0, backedOff: true });
  expect(state.bestF1).toBe(result.metrics.f1);
  expect(state.meter.step).toBe(5);
  expect(state.optimizer.state.steps).toBe(0);
  expect(state.tensors()).toEqual(state.kept.tensors);

  state.kept = state.start;
  state.goBack();
  expect(state).toMatchObject({ epoch: 1, bestF1: null });
  expect(state.tensors()).toEqual(start);
  expect(state.average.state.means).toEqual(parameters.map(({ data }) => data));
});
