import type { Value } from '../graph/ir.ts';
import { mul } from './mul.ts';
import { defineOp, emit, floatUnary } from './op.ts';
import { sub } from './sub.ts';

export const tanhOp = defineOp({
  type: 'Tanh',
  infer: floatUnary,
  gradient: ({ grad, outputs }) => [mul(grad, sub(1, mul(outputs[0]!, outputs[0]!)))],
  samples: [
    { inputs: [{ dtype: 'float32', shape: ['batch', 3], range: [-2, 2] }], sizes: { batch: 2 }, build: tanh },
  ],
});

/** Hyperbolic tangent, element by element. */
export function tanh(x: Value): Value {
  return emit(tanhOp, [x], {});
}
