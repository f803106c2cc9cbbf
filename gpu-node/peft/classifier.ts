import type { Value } from '../graph/ir.ts';
import { add, gather, matMul, reshape, swapLastAxes, unsqueeze } from '../ops/index.ts';
import type { Parameters, SlotSizes, Stack, Trainable } from './method.ts';

/** Names of the classifier's tensors in transformers' models: weight `[labels, hidden]`, bias `[labels]`. */
export const CLASSIFIER_WEIGHT = 'classifier.weight';
export const CLASSIFIER_BIAS = 'classifier.bias';

/** Standard deviation of a new classifier's weights: BERT's `initializer_range`. */
const INITIAL_DEVIATION = 0.02;

/** The classifier, trained with every method, as transformers starts it: N(0, 0.02), bias 0. */
export function classifierTrainables(hidden: number, labels: number): readonly Trainable[] {
  const draw = (size: number, next: () => number) => Float32Array.from({ length: size }, next);
  return [
    {
      name: CLASSIFIER_WEIGHT,
      shape: [labels, hidden],
      init: (random) => draw(labels * hidden, () => INITIAL_DEVIATION * random.normal()),
    },
    { name: CLASSIFIER_BIAS, shape: [labels], init: () => new Float32Array(labels) },
  ];
}

/** Logits `[batch, labels]` of pooled vectors `[batch, hidden]`. */
export function classify(pooled: Value, parameters: Parameters): Value {
  const weight = swapLastAxes(parameters[CLASSIFIER_WEIGHT]!);
  return add(matMul(pooled, weight), parameters[CLASSIFIER_BIAS]!);
}

/** The classifiers of all slots: a weight `[slots, hidden, labels]`, transposed, and a bias `[slots, labels]`. */
export function classifierStacks(hidden: number): readonly Stack[] {
  return [
    { name: CLASSIFIER_WEIGHT, shape: [hidden, 'labels'] },
    { name: CLASSIFIER_BIAS, shape: ['labels'] },
  ];
}

/** Logits `[batch, labels]`, each row by the classifier of its slot; columns beyond an adapter's labels are 0. */
export function classifyBySlot(pooled: Value, stacks: Parameters, slots: Value): Value {
  const weight = gather(stacks[CLASSIFIER_WEIGHT]!, slots);
  const bias = gather(stacks[CLASSIFIER_BIAS]!, slots);
  const product = matMul(unsqueeze(pooled, [1]), weight);
  return add(reshape(product, bias.shape), bias);
}

/** Writes a classifier, weight `[labels, hidden]`, into its slot of a stack. */
export function fillClassifier(
  stack: Stack,
  weight: Float32Array,
  bias: Float32Array,
  sizes: SlotSizes,
  slot: Float32Array,
): void {
  if (stack.name === CLASSIFIER_BIAS) slot.set(bias);
  if (stack.name !== CLASSIFIER_WEIGHT) return;
  const hidden = weight.length / bias.length;
  for (let label = 0; label < bias.length; label++) {
    for (let i = 0; i < hidden; i++) slot[i * sizes.labels + label] = weight[label * hidden + i]!;
  }
}
