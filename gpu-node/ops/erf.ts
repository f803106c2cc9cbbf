import type { Value } from '../graph/ir.ts';
import { exp } from './exp.ts';
import { mul } from './mul.ts';
import { neg } from './neg.ts';
import { defineOp, emit, floatUnary } from './op.ts';

export const erfOp = defineOp({
  type: 'Erf',
  infer: floatUnary,
  gradient: ({ grad, inputs }) => [
    mul(grad, mul(exp(neg(mul(inputs[0]!, inputs[0]!))), 2 / Math.sqrt(Math.PI))),
  ],
  samples: [
    { inputs: [{ dtype: 'float32', shape: ['batch', 3], range: [-2, 2] }], sizes: { batch: 2 }, build: erf },
  ],
});

/** Gauss error function, element by element. */
export function erf(x: Value): Value {
  return emit(erfOp, [x], {});
}
