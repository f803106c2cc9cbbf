import type { Value } from '../graph/ir.ts';
import { mul } from './mul.ts';
import { defineOp, emit, floatUnary } from './op.ts';

export const expOp = defineOp({
  type: 'Exp',
  infer: floatUnary,
  gradient: ({ grad, outputs }) => [mul(grad, outputs[0]!)],
  samples: [
    { inputs: [{ dtype: 'float32', shape: ['batch', 3], range: [-2, 2] }], sizes: { batch: 2 }, build: exp },
  ],
});

/** `e ** x`, element by element. */
export function exp(x: Value): Value {
  return emit(expOp, [x], {});
}
