import { describe, expect, it } from 'vitest';
import { encodeModel } from '../../../gpu-node/graph/onnx.ts';
import { encoderFeeds } from '../../../gpu-node/models/inputs.ts';
import { type Feeds, floats, Session, tensor } from '../../../gpu-node/runtime/session.ts';
import { taskTrainables, trainingGraph } from '../../../gpu-node/train/graph.ts';
import { AdamW, clipGradients } from '../../../gpu-node/train/optimizers.ts';
import { linearSchedule } from '../../../gpu-node/train/schedule.ts';
import {
  behindPlaceholders,
  FAMILY_CASES,
  PEFT_CASES,
  readPeftCase,
  WITHOUT_GRADIENT,
} from '../../support/peft-steps.ts';
import { maxDifference, openFixture, toTokenBatch, withFolder } from '../../support/tiny-bert.ts';

const largestOf = (elements: Float32Array) => elements.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

/** Largest difference relative to the largest expected element. */
function relative(actual: Float32Array, expected: Float32Array): number {
  return maxDifference(actual, expected) / Math.max(largestOf(expected), 1e-6);
}

const CASES = [
  ...PEFT_CASES.map((name) => ['tiny-bert', name, 'peft-steps'] as const),
  ...FAMILY_CASES.map(([model, name]) => [model, name, `${model}/steps`] as const),
];

describe.each(CASES)('the first steps of HF PEFT, %s, %s', (model, name, fixtures) => {
  it('have the same losses, gradients and weights here', () =>
    withFolder(async (folder) => {
      const expected = await readPeftCase(name, fixtures);
      const task = {
        base: await openFixture(model, folder),
        config: expected.config,
        labels: expected.labels,
      };
      const trainables = taskTrainables(task);
      expect(trainables.map((trainable) => trainable.name).sort()).toEqual(
        [...expected.initial.keys()].sort(),
      );
      const parameters = new Map([...expected.initial].map(([key, data]) => [key, data.slice()]));
      const session = await Session.create(encodeModel(trainingGraph(task, 1).graph), {
        weightsFolder: folder,
        threads: 1,
      });
      const optimizer = new AdamW(
        trainables.map(({ name: key }) => ({ data: parameters.get(key)! })),
        { weightDecay: expected.weight_decay },
      );
      const learningRate = linearSchedule(
        expected.learning_rate,
        expected.warmup_steps,
        expected.total_steps,
      );
      for (const [step, batch] of expected.batches.entries()) {
        const feeds: Feeds = {
          ...encoderFeeds(toTokenBatch(behindPlaceholders(batch, expected.config))),
          labels: tensor('int32', [batch.labels.length], Int32Array.from(batch.labels)),
          ...Object.fromEntries(
            trainables.map(({ name: key, shape }) => [key, tensor('float32', shape, parameters.get(key)!)]),
          ),
        };
        const outputs = await session.run(feeds);
        expect(floats(outputs, 'loss')[0]).toBeCloseTo(expected.losses[step]!, 5);
        if (step === 0) {
          for (const [key, gradient] of expected.gradients) {
            const actual = floats(outputs, `${key}.grad`);
            if (WITHOUT_GRADIENT.test(key)) expect(largestOf(actual), key).toBeLessThan(1e-6);
            else expect(relative(actual, gradient), key).toBeLessThan(1e-4);
          }
        }
        const gradients = trainables.map(({ name: key }) => floats(outputs, `${key}.grad`));
        const norm = clipGradients(gradients, expected.max_grad_norm);
        expect(norm).toBeCloseTo(expected.gradient_norms[step]!, 4);
        optimizer.step(gradients, learningRate(step));
      }
      for (const [key, final] of expected.final) {
        if (WITHOUT_GRADIENT.test(key)) continue;
        expect(relative(parameters.get(key)!, final), key).toBeLessThan(1e-4);
      }
      await session.release();
    }));
});
