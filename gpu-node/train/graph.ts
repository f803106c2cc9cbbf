import type { PeftConfig } from '../../shared/peft-config.ts';
import { gradients } from '../autograd/backward.ts';
import { Graph } from '../graph/builder.ts';
import type { Shape, Value } from '../graph/ir.ts';
import { methodOf } from '../methods/index.ts';
import { encoderInputs } from '../models/inputs.ts';
import type { BaseModel } from '../models/model.ts';
import { type Dropout, NO_DROPOUT } from '../models/sites.ts';
import { cast, crossEntropy, mul } from '../ops/index.ts';
import { classify, headTrainables, trainedHead } from '../parts/head.ts';
import type { Trainable } from '../parts/trainable.ts';

/** What is trained: a method on a base model, and a classifier of so many labels. */
export interface TrainingTask {
  readonly base: BaseModel;
  readonly config: PeftConfig;
  readonly labels: number;
  /** Weight of each label in the loss; all 1 where absent. */
  readonly classWeights?: readonly number[];
}

/** A graph input of dropout: bool, true for what is kept. */
export interface DropoutMask {
  readonly name: string;
  /** Over the symbols `batch` and `seq`, such as `[seq, batch, features]`. */
  readonly shape: Shape;
}

export interface TrainingGraph {
  /** Outputs: `loss`, `logits` and for each trainable `<name>.grad`. */
  readonly graph: Graph;
  readonly masks: readonly DropoutMask[];
}

/** Everything that a task trains: the method's tensors, then the head's. */
export function taskTrainables({ base, config, labels }: TrainingTask): readonly Trainable[] {
  const { architecture } = base;
  return [...methodOf(config).trainables(config, architecture), ...headTrainables(architecture.head, labels)];
}

/**
 * Forward pass, loss and the gradients of what is trained in one graph over symbols `batch` and `seq`. Inputs: those of
 * `encoderInputs`, `labels` int32 `[batch]`, every trainable by its name, the dropout masks. Only the adapter's branch
 * has dropout, so `keep` is its probability to keep an element. The base model runs as in evaluation, where PEFT in
 * training mode also applies the base model's own dropout: frozen weights cannot co-adapt, and small sets learn faster without.
 */
export function trainingGraph(task: TrainingTask, keep: number): TrainingGraph {
  const graph = new Graph('train');
  const masks: DropoutMask[] = [];
  const dropout = keep < 1 ? maskedDropout(graph, keep, masks) : NO_DROPOUT;
  const { logits, parameters } = forward(graph, task, dropout);
  const labels = graph.input('labels', 'int32', ['batch']);
  const weights = task.classWeights && graph.constant('float32', [task.labels], task.classWeights);
  const loss = crossEntropy(logits, labels, weights);
  const values = Object.values(parameters);
  const grads = gradients(loss, values);
  graph.output('loss', loss);
  graph.output('logits', logits);
  values.forEach((value, i) => {
    graph.output(`${value.name}.grad`, grads[i]!);
  });
  return { graph, masks };
}

/**
 * The forward pass alone: outputs `logits` and `features`, which the head's last layer makes them of; inputs those of
 * `encoderInputs` and every trainable by its name.
 */
export function evaluationGraph(task: TrainingTask): Graph {
  const graph = new Graph('evaluate');
  const { logits, features } = forward(graph, task, NO_DROPOUT);
  graph.output('logits', logits);
  graph.output('features', features);
  return graph;
}

function forward(graph: Graph, task: TrainingTask, dropout: Dropout) {
  const { architecture } = task.base;
  const method = methodOf(task.config);
  const inputs = encoderInputs(graph, 'seq-first');
  const parameters = Object.fromEntries(
    taskTrainables(task).map(({ name, shape }) => [name, graph.input(name, 'float32', shape)]),
  );
  const weights = method.wholeModel?.weights(parameters) ?? task.base.weights;
  const sites = method.sites(task.config, architecture, parameters, dropout);
  const hidden = architecture.encode(weights, inputs, sites);
  const pooled = architecture.pool(task.config.pooling, hidden, weights, inputs, sites);
  return { ...classify(architecture.head, pooled, trainedHead(parameters)), parameters };
}

/** Layers that read the same x (query, key and value) share one mask: a third of the random numbers. */
function maskedDropout(graph: Graph, keep: number, masks: DropoutMask[]): Dropout {
  const masked = new Map<Value, Value>();
  const apply = (x: Value) => {
    const name = `dropout.${masks.length}`;
    masks.push({ name, shape: x.shape });
    return mul(x, cast(graph.input(name, 'bool', x.shape), 'float32'));
  };
  return {
    scale: 1 / keep,
    mask: (x) => {
      const known = masked.get(x) ?? apply(x);
      masked.set(x, known);
      return known;
    },
  };
}
