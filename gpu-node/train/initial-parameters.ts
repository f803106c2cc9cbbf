import { Graph } from '../graph/builder.ts';
import { Random } from '../random.ts';
import { runOnce } from '../runtime/run-once.ts';
import { floats, type Outputs } from '../runtime/session.ts';
import { type TrainingTask, taskTrainables } from './graph.ts';

/** A tensor that is being trained. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Everything that a task trains, as it is before the first step; the same seed gives the same tensors. */
export async function initialParameters(task: TrainingTask, seed: number): Promise<Parameter[]> {
  const derived = await derivedTensors(task);
  return taskTrainables(task).map((trainable) => {
    const { name, shape } = trainable;
    const data =
      'init' in trainable ? trainable.init(new Random(seed, `init ${name}`)) : floats(derived, name).slice();
    return { name, shape, data };
  });
}

/** The tensors that start from the base model's weights: all of them in one graph. */
async function derivedTensors(task: TrainingTask): Promise<Outputs> {
  const { weights, weightsFolder } = task.base;
  const graph = new Graph('initialize');
  for (const trainable of taskTrainables(task)) {
    if ('derive' in trainable) graph.output(trainable.name, trainable.derive(graph, weights));
  }
  return graph.outputs.size === 0 ? {} : runOnce(graph, weightsFolder);
}
