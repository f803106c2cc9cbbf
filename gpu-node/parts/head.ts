import type { AdapterDescription } from '../../shared/adapter-description.ts';
import { toFloat32 } from '../../shared/safetensors.ts';
import type { Value } from '../graph/ir.ts';
import type { Head, HeadLayer } from '../models/model.ts';
import { add, matMul, reshape, swapLastAxes, unsqueeze } from '../ops/index.ts';
import {
  fillTransposed,
  type Parameters,
  type PartNumbers,
  type RowsOf,
  SIZE,
  type Stack,
  stackOf,
  type TensorBytes,
} from './part.ts';
import { drawn, filled, type Trainable } from './trainable.ts';

/** Names of a head layer's tensors in transformers' models: weight `[out, in]`, bias `[out]`. */
const nameWeight = ({ name }: Pick<HeadLayer, 'name'>) => `${name}.weight`;
const nameBias = ({ name }: Pick<HeadLayer, 'name'>) => `${name}.bias`;

/** A layer of the head: weight `[in, out]` and bias `[out]`, or `[batch, in, out]` and `[batch, out]`, those of each row. */
interface HeadTensors {
  readonly weight: Value;
  readonly bias: Value;
}

/** The classification head, trained with every method, as transformers starts it: normal weights, biases of 0. */
export function headTrainables({ layers, initialDeviation }: Head, labels: number): Trainable[] {
  return layers.flatMap((layer): Trainable[] => {
    const { inFeatures } = layer;
    const outFeatures = layer.outFeatures === 'labels' ? labels : layer.outFeatures;
    return [
      drawn(nameWeight(layer), [outFeatures, inFeatures], (random) => initialDeviation * random.normal()),
      filled(nameBias(layer), [outFeatures], 0),
    ];
  });
}

/** The head that is trained, from its trainables. */
export function trainedHead(parameters: Parameters): (layer: HeadLayer) => HeadTensors {
  return (layer) => ({
    weight: swapLastAxes(parameters[nameWeight(layer)]!),
    bias: parameters[nameBias(layer)]!,
  });
}

/** The names of the last layer's weight `[labels, in]` and bias `[labels]`. */
export function lastLayer({ layers }: Head): { weight: string; bias: string } {
  const last = layers.at(-1)!;
  return { weight: nameWeight(last), bias: nameBias(last) };
}

/** What a head makes of pooled vectors `[batch, hidden]`: the features that its last layer takes, of that shape, and the logits `[batch, labels]`. */
export function classify(
  { layers, activation }: Head,
  pooled: Value,
  tensorsOf: (layer: HeadLayer) => HeadTensors,
): { features: Value; logits: Value } {
  let features = pooled;
  const logits = layers.reduce((x, layer, i) => {
    features = i === 0 ? x : activation(x);
    return applyLayer(features, tensorsOf(layer));
  }, pooled);
  return { features, logits };
}

function applyLayer(x: Value, { weight, bias }: HeadTensors): Value {
  if (weight.shape.length === 2) return add(matMul(x, weight), bias);
  return add(reshape(matMul(unsqueeze(x, [1]), weight), bias.shape), bias);
}

/** The heads of all slots: for each layer a weight `[slots, in, out]`, transposed, and a bias `[slots, out]`. */
export function headStacks({ layers }: Head): readonly Stack[] {
  return layers.flatMap(({ name, inFeatures, outFeatures }): Stack[] => {
    const out = outFeatures === 'labels' ? SIZE : outFeatures;
    return [stackOf(name, 'weight', [inFeatures, out]), stackOf(name, 'bias', [out])];
  });
}

/** The head of each row, by its slot; logits beyond an adapter's labels are 0. */
export function servedHead(rowsOf: RowsOf): (layer: HeadLayer) => HeadTensors {
  return ({ name }) => ({ weight: rowsOf(name, 'weight'), bias: rowsOf(name, 'bias') });
}

/** The head of an adapter's file. */
export function headNumbers(
  { labels, layers }: AdapterDescription['classifier'],
  bytes: TensorBytes,
): PartNumbers {
  return {
    size: labels,
    fill: ({ place, tensor }, size, slot) => {
      const layer = layers.find(({ name }) => name === place)!;
      if (tensor === 'bias') return slot.set(toFloat32(bytes(layer.bias), layer.bias));
      const width = layer === layers.at(-1) ? size : layer.outFeatures;
      fillTransposed(toFloat32(bytes(layer.weight), layer.weight), layer.inFeatures, width, slot);
    },
  };
}
