import type { PeftConfig } from '../../shared/peft-config.ts';
import type { Tensor } from '../../shared/safetensors.ts';
import { Graph } from '../graph/builder.ts';
import { methodOf } from '../methods/index.ts';
import type { Architecture, BaseModel } from '../models/model.ts';
import { runOnce } from '../runtime/run-once.ts';
import { floats, tensor } from '../runtime/session.ts';
import type { TrainingTask } from './graph.ts';

/** The shapes of what the file of a method holds beside the head. */
export function savedShapes(config: PeftConfig, architecture: Architecture): readonly (readonly number[])[] {
  const { own, values } = savedValues(config, architecture);
  return values?.map(([, { shape }]) => shape as number[]) ?? own.map(({ shape }) => shape);
}

/** What a method trains, and what it makes of that for its file, in a graph with its trainables for inputs; no values where they are stored as they are. */
function savedValues(config: PeftConfig, architecture: Architecture) {
  const { saved, trainables } = methodOf(config);
  const own = trainables(config, architecture);
  const graph = new Graph('saved');
  if (!saved) return { own, graph };
  const parameters = own.map(({ name, shape }) => [name, graph.input(name, 'float32', shape)] as const);
  return { own, graph, values: Object.entries(saved(config, architecture, Object.fromEntries(parameters))) };
}

/**
 * The tensors of an adapter's file, by name, from the trained ones: the head unchanged, and the method's own tensors in their stored form.
 */
export async function savedTensors(
  {
    base,
    config,
  }: Pick<TrainingTask, 'config'> & { base: Pick<BaseModel, 'architecture' | 'weightsFolder'> },
  trained: ReadonlyMap<string, Tensor>,
): Promise<ReadonlyMap<string, Tensor>> {
  const { architecture, weightsFolder } = base;
  const { own, graph, values } = savedValues(config, architecture);
  if (!values) return trained;
  // An output needs a name of its own, even if it is an unchanged input.
  for (const [name, value] of values) graph.output(`saved.${name}`, value);
  const feeds = own.map(
    ({ name, shape }) => [name, tensor('float32', shape, trained.get(name)!.data)] as const,
  );
  const outputs = await runOnce(graph, weightsFolder, Object.fromEntries(feeds));
  const isOwn = new Set(own.map(({ name }) => name));
  return new Map([
    ...[...trained].filter(([name]) => !isOwn.has(name)),
    ...values.map(([name, { shape }]): [string, Tensor] => [
      name,
      { shape: shape as number[], data: floats(outputs, `saved.${name}`).slice() },
    ]),
  ]);
}
