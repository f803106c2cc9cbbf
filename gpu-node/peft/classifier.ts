import type { AdapterDescription } from '../../shared/adapter-description.ts';
import type { TensorEntry } from '../../shared/safetensors.ts';
import type { Value } from '../graph/ir.ts';
import type { Head, HeadLayer } from '../models/model.ts';
import { add, gather, matMul, reshape, swapLastAxes, unsqueeze } from '../ops/index.ts';
import type { Parameters, SlotSizes, Stack, Trainable } from './method.ts';

/** Names of a head layer's tensors in transformers' models: weight `[out, in]`, bias `[out]`. */
const nameWeight = ({ name }: Pick<HeadLayer, 'name'>) => `${name}.weight`;
const nameBias = ({ name }: Pick<HeadLayer, 'name'>) => `${name}.bias`;

/** The classification head, trained with every method, as transformers starts it: normal weights, biases of 0. */
export function classifierTrainables({ layers, initialDeviation }: Head, labels: number): Trainable[] {
  return layers.flatMap((layer): Trainable[] => {
    const { inFeatures } = layer;
    const outFeatures = layer.outFeatures === 'labels' ? labels : layer.outFeatures;
    return [
      {
        name: nameWeight(layer),
        shape: [outFeatures, inFeatures],
        init: (random) =>
          Float32Array.from({ length: outFeatures * inFeatures }, () => initialDeviation * random.normal()),
      },
      { name: nameBias(layer), shape: [outFeatures], init: () => new Float32Array(outFeatures) },
    ];
  });
}

/** What a head makes of pooled vectors `[batch, hidden]`: the features that its last layer takes, of that shape, and the logits `[batch, labels]`. */
export function classify(
  head: Head,
  pooled: Value,
  parameters: Parameters,
): { features: Value; logits: Value } {
  let features = pooled;
  const logits = throughLayers(head, pooled, (x, layer) => {
    features = x;
    const weight = swapLastAxes(parameters[nameWeight(layer)]!);
    return add(matMul(x, weight), parameters[nameBias(layer)]!);
  });
  return { features, logits };
}

/** The names of the last layer's weight `[labels, in]` and bias `[labels]`. */
export function lastLayer({ layers }: Head): { weight: string; bias: string } {
  const last = layers.at(-1)!;
  return { weight: nameWeight(last), bias: nameBias(last) };
}

/** The heads of all slots: for each layer a weight `[slots, in, out]`, transposed, and a bias `[slots, out]`. */
export function classifierStacks({ layers }: Head): readonly Stack[] {
  return layers.flatMap((layer): Stack[] => [
    { name: nameWeight(layer), shape: [layer.inFeatures, layer.outFeatures] },
    { name: nameBias(layer), shape: [layer.outFeatures] },
  ]);
}

/** Logits `[batch, labels]`, each row by the head of its slot; columns beyond an adapter's labels are 0. */
export function classifyBySlot(head: Head, pooled: Value, stacks: Parameters, slots: Value): Value {
  return throughLayers(head, pooled, (x, layer) => {
    const weight = gather(stacks[nameWeight(layer)]!, slots);
    const bias = gather(stacks[nameBias(layer)]!, slots);
    const product = matMul(unsqueeze(x, [1]), weight);
    return add(reshape(product, bias.shape), bias);
  });
}

function throughLayers(
  { layers, activation }: Head,
  pooled: Value,
  apply: (x: Value, layer: HeadLayer) => Value,
): Value {
  return layers.reduce((x, layer, i) => apply(i === 0 ? x : activation(x), layer), pooled);
}

/** Writes the head of an adapter's file into its slot of a stack; a stack of another name is left as it is. */
export function fillClassifier(
  { layers }: AdapterDescription['classifier'],
  floats: (entry: TensorEntry) => Float32Array,
  stack: Stack,
  sizes: SlotSizes,
  slot: Float32Array,
): void {
  for (const layer of layers) {
    if (stack.name === nameBias(layer)) slot.set(floats(layer.bias));
    if (stack.name !== nameWeight(layer)) continue;
    fillTransposed(floats(layer.weight), layer.inFeatures, outFeaturesOf(stack, sizes), slot);
  }
}

function outFeaturesOf({ shape }: Stack, sizes: SlotSizes): number {
  const size = shape.at(-1)!;
  return typeof size === 'number' ? size : sizes[size];
}

/** Writes `matrix`, `[rows, columns]`, times `scaling` as `[columns, width]`; columns beyond `rows` keep their zeros. */
export function fillTransposed(
  matrix: Float32Array,
  columns: number,
  width: number,
  slot: Float32Array,
  scaling = 1,
): void {
  for (let row = 0; row * columns < matrix.length; row++) {
    for (let column = 0; column < columns; column++) {
      slot[column * width + row] = scaling * matrix[row * columns + column]!;
    }
  }
}
