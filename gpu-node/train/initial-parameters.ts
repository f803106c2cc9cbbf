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

/** All tensors that a task trains, before the first step. The same seed gives the same tensors. */
export async function initialParameters(task: TrainingTask, seed: number): Promise<Parameter[]> {
  const derived = await derivedTensors(task, seed);
  return taskTrainables(task).map((trainable) => {
    const { name, shape } = trainable;
    const data =
      'init' in trainable ? trainable.init(randomOf(seed, name)) : floats(derived, initialName(name)).slice();
    return { name, shape, data };
  });
}

/** The random numbers of one tensor. */
function randomOf(seed: number, name: string): Random {
  return new Random(seed, `init ${name}`);
}
/** Apart from the names of the base model's own weights, which a trained one may share. */
const initialName = (name: string) => `initial ${name}`;

/** Computes the tensors that start from the base model's weights, all in one graph. */
async function derivedTensors(task: TrainingTask, seed: number): Promise<Outputs> {
  const { base } = task;
  const graph = new Graph('initialize');
  for (const trainable of taskTrainables(task)) {
    if (!('derive' in trainable)) continue;
    const { name } = trainable;
    graph.output(initialName(name), await trainable.derive(graph, base, randomOf(seed, name)));
  }
  return graph.outputs.size === 0 ? {} : runOnce(graph, base.weightsFolder);
}
