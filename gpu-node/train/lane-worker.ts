import { workerData } from 'node:worker_threads';
import type { TokenBatch } from '../models/inputs.ts';
import { serveCalls } from '../runtime/worker-thread.ts';
import { type LaneSetup, type Part, TrainingLane } from './lane.ts';

export interface StepCall {
  /** Number of the step within the training. */
  readonly number: number;
  readonly parameters: readonly Float32Array[];
  readonly parts: readonly Part[];
}

export interface EvaluateCall {
  readonly output: 'logits' | 'features';
  readonly parameters: readonly Float32Array[];
  readonly batches: readonly TokenBatch[];
}

const lane = TrainingLane.create(workerData as LaneSetup);
// Every call reports the failure; without this it would end the process before the first call came.
lane.catch(() => {});

const handlers = {
  /** Resolves when the training session is built. */
  ready: async (_: null) => {
    await lane;
  },
  step: async ({ number, parameters, parts }: StepCall) => (await lane).step(number, parameters, parts),
  evaluate: async ({ output, parameters, batches }: EvaluateCall) =>
    (await lane).evaluate(output, parameters, batches),
};
export type LaneHandlers = typeof handlers;

serveCalls(handlers, async () => {
  await lane.then(
    (opened) => opened.release(),
    () => {},
  );
});
