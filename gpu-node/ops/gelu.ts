import type { Value } from '../graph/ir.ts';
import { add } from './add.ts';
import { erf } from './erf.ts';
import { exp } from './exp.ts';
import { hardSigmoid } from './hard-sigmoid.ts';
import { mul } from './mul.ts';
import { defineOp, emit, floatUnary } from './op.ts';
import { sub } from './sub.ts';

/** Natural logarithm of 1 / sqrt(pi), so that the constant factor costs no pass over the tensor. */
const LOG_SCALE = Math.log(1 / Math.sqrt(Math.PI));

/**
 * The derivative of `gelu(x) = x * phi(x)`, where phi is the normal distribution (Hendrycks and Gimpel, https://arxiv.org/abs/1606.08415).
 * With u = x / sqrt(2) it is `(1 + erf(u)) / 2 + u * exp(-u * u) / sqrt(pi)`.
 * A hard sigmoid is the only operator that scales and shifts in one pass; it cuts nothing here, as erf lies in [-1, 1].
 */
function derivative(x: Value): Value {
  const u = mul(x, Math.SQRT1_2);
  const density = exp(sub(LOG_SCALE, mul(u, u)));
  return add(hardSigmoid(erf(u), 0.5, 0.5), mul(u, density));
}

export const geluOp = defineOp({
  type: 'Gelu',
  domain: 'com.microsoft',
  infer: floatUnary,
  gradient: ({ grad, inputs }) => [mul(grad, derivative(inputs[0]!))],
  samples: [
    { inputs: [{ dtype: 'float32', shape: ['batch', 5], range: [-3, 3] }], sizes: { batch: 3 }, build: gelu },
  ],
});

/** Gaussian error linear unit in its exact form (`erf`), as in BERT. */
export function gelu(x: Value): Value {
  return emit(geluOp, [x], {});
}
