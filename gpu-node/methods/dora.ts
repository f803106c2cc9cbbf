import { MAX_GAIN } from '../../shared/adapter-check.ts';
import type { LoraTarget } from '../../shared/methods/lora.ts';
import type { TensorEntry } from '../../shared/safetensors.ts';
import { Graph } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
import type { BaseModel } from '../models/model.ts';
import type { Dropout, LinearCall, LinearChange, LinearLayer, LowRank } from '../models/sites.ts';
import { add, detach, div, matMul, mul, neg, reduceSum, sqrt, sub, swapLastAxes } from '../ops/index.ts';
import type { Parameters } from '../parts/part.ts';
import type { DerivedTrainable } from '../parts/trainable.ts';
import type { Vectors } from '../parts/vectors.ts';
import { KnownInputs, runOnce } from '../runtime/run-once.ts';
import { floats } from '../runtime/session.ts';

/*
 * DoRA (Liu et al. 2024, arXiv:2402.09353) as HF PEFT trains it (peft/tuners/lora/dora.py): with g = m / ‖W + s·a·b‖, one number an
 * output, and x̃ = dropout(x): y = Wx + b + (g - 1)⊙Wx̃ + g⊙s·a·b·x̃. It is LoRA's layer with a gain of g and a shift that takes off
 * what the gain makes of the bias.
 */

/** Name of a layer's magnitude in PEFT's files: unlike other tensors it ends without `.weight`. */
export const nameMagnitude = ({ name }: Pick<LinearLayer, 'name'>) => `${name}.lora_magnitude_vector`;

/**
 * The magnitude m `[out]` starts as the norm of each output's weights, so that training starts at the base model: the change
 * is 0 then.
 */
export function magnitudeTrainable(layer: LinearLayer): DerivedTrainable {
  return {
    name: nameMagnitude(layer),
    shape: [layer.outFeatures],
    derive: (graph, { weights }) => sqrt(squaredNorms(weights.linear(graph, layer.name).matrix())),
  };
}

/** Gain and shift of a layer in training. The norm is a constant to the gradient (section 4.3 of the paper). */
export function scaleToMagnitude(
  { layer, frozen }: LinearCall,
  { a, b, scaling }: LowRank,
  parameters: Parameters,
  dropout: Dropout,
): Pick<LinearChange, 'gain' | 'shift'> {
  const norms = changedNorms(frozen.matrix(), a, mul(b, scaling));
  const gain = div(parameters[nameMagnitude(layer)]!, norms);
  const growth = mul(sub(gain, 1), dropout.scale);
  return { gain, shift: neg(mul(growth, frozen.bias)) };
}

/**
 * ‖W + a·up‖ of each output `[out]`, without ever making the sum, from (w + c)² = w² + c(2w + c): W `[in, out]` is read in one thin
 * product, and its own norms are constant.
 */
function changedNorms(matrix: Value, a: Value, up: Value): Value {
  const low = swapLastAxes(a);
  const crossed = add(mul(matMul(low, matrix), 2), matMul(matMul(low, a), up));
  const change = reduceSum(mul(up, crossed), [0], { keepDims: false });
  return detach(sqrt(add(squaredNorms(matrix), change)));
}

/** `[out]` of `[in, out]`. */
function squaredNorms(matrix: Value): Value {
  return reduceSum(mul(matrix, matrix), [0], { keepDims: false });
}

/**
 * What served adapters' layers grow and shift by, for those that have a magnitude: the norms do not depend on the text, so they are
 * computed when an adapter is loaded, in one graph for all layers, whatever the base's precision.
 */
export async function readScales(
  targets: readonly LoraTarget[],
  floatsOf: (entry: TensorEntry) => Float32Array,
  { weights, weightsFolder }: BaseModel,
): Promise<ReadonlyMap<string, Vectors>> {
  const graph = new Graph('magnitudes');
  const known = new KnownInputs(graph);
  const input = (entry: TensorEntry) => known.add(entry.name, entry.shape, floatsOf(entry).slice());
  const scaled = targets.filter(({ magnitude }) => magnitude !== null);
  for (const { module, a, b, magnitude, scaling } of scaled) {
    const frozen = weights.linear(graph, module);
    const change = mul(swapLastAxes(matMul(input(b), input(a))), scaling);
    const growth = sub(div(input(magnitude!), sqrt(squaredNorms(add(frozen.matrix(), change)))), 1);
    graph.output(`${module}.growth`, growth);
    graph.output(`${module}.frozen_bias`, add(frozen.bias, 0));
  }
  const outputs = scaled.length === 0 ? {} : await runOnce(graph, weightsFolder, known.feeds);
  return new Map(
    scaled.map(({ module }) => {
      const growth = floats(outputs, `${module}.growth`).map(bounded);
      const shift = floats(outputs, `${module}.frozen_bias`).map((bias, i) => -growth[i]! * bias);
      return [module, { growth, shift }];
    }),
  );
}

/**
 * A row of weights that came to 0 has no direction to scale: its output is the bias, however much it grows, and PEFT's is NaN. Where it came
 * next to 0, a growth beyond all bounds would make infinities of its rounding. Only a file that was made for it comes to either, and only a
 * node can tell, so that such an adapter is served, with finite scores, rather than refused after it became ready.
 */
function bounded(growth: number): number {
  return Number.isFinite(growth) ? Math.min(growth, MAX_GAIN) : 0;
}
