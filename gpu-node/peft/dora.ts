import type { Value } from '../graph/ir.ts';
import type { LinearCall, LinearLayer } from '../models/model.ts';
import { add, div, linear, matMul, mul, neg, reduceSum, sub, swapLastAxes } from '../ops/index.ts';
import { emit } from '../ops/op.ts';
import { sqrtOp } from '../ops/sqrt.ts';
import type { DerivedTrainable, Dropout, Parameters } from './method.ts';

/** Name of a layer's magnitude in PEFT's files: unlike other tensors it ends without `.weight`. */
export const nameMagnitude = ({ name }: Pick<LinearLayer, 'name'>) => `${name}.lora_magnitude_vector`;

/** A change of a matrix W `[in, out]` by scaling·a·b. */
export interface LowRankChange {
  /** `[in, r]` */
  readonly a: Value;
  /** `[r, out]` */
  readonly b: Value;
  readonly scaling: number;
}

/**
 * The magnitude m `[out]` starts as the norm of each output's weights, so that training starts at the base model: the change
 * is 0 then.
 */
export function magnitudeTrainable(layer: LinearLayer): DerivedTrainable {
  return {
    name: nameMagnitude(layer),
    shape: [layer.outFeatures],
    derive: (graph, weights) => detachedSqrt(squaredNorms(weights.linear(graph, layer.name).matrix())),
  };
}

/**
 * DoRA (Liu et al. 2024, arXiv:2402.09353) as HF PEFT trains it (peft/tuners/lora/dora.py): with g = m / ‖W + s·a·b‖, one number an
 * output, and x̃ = dropout(x): y = Wx + b + (g - 1)⊙Wx̃ + g⊙s·a·b·x̃. The norm is a constant to the gradient (section 4.3 of the paper).
 * g goes into the small factor of the second product, and Wx̃ is computed only where dropout makes it another than Wx.
 */
export function withMagnitude(
  { layer, x, frozen }: LinearCall,
  change: LowRankChange,
  parameters: Parameters,
  dropout: Dropout,
): Value {
  const up = mul(change.b, change.scaling);
  const gain = div(parameters[nameMagnitude(layer)]!, changedNorms(frozen.matrix(), change.a, up));
  const masked = dropout.mask(x);
  const growth = mul(sub(gain, 1), dropout.scale);
  const base =
    masked === x ? mul(frozen.apply(x), gain) : add(frozen.apply(x), mul(frozen.apply(masked), growth));
  // frozen.apply adds the bias, which the magnitude leaves as it is: what is too much of it is taken off here.
  const extraBias = neg(mul(growth, frozen.bias));
  return add(base, linear(matMul(masked, change.a), mul(up, mul(gain, dropout.scale)), extraBias));
}

/**
 * ‖W + a·up‖ of each output `[out]`, without ever making the sum, from (w + c)² = w² + c(2w + c): W `[in, out]` is read in one thin
 * product, and its own norms are constant.
 */
function changedNorms(matrix: Value, a: Value, up: Value): Value {
  const low = swapLastAxes(a);
  const crossed = add(mul(matMul(low, matrix), 2), matMul(matMul(low, a), up));
  const change = reduceSum(mul(up, crossed), [0], { keepDims: false });
  return detachedSqrt(add(squaredNorms(matrix), change));
}

/** `[out]` of `[in, out]`. */
export function squaredNorms(matrix: Value): Value {
  return reduceSum(mul(matrix, matrix), [0], { keepDims: false });
}

/** A square root that the gradient takes for a constant. */
function detachedSqrt(x: Value): Value {
  return emit({ ...sqrtOp, gradient: () => [undefined] }, [x], {});
}
