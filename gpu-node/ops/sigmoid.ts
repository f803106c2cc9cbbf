import type { Value } from '../graph/ir.ts';
import { mul } from './mul.ts';
import { defineOp, emit, floatUnary } from './op.ts';
import { sub } from './sub.ts';

export const sigmoidOp = defineOp({
  type: 'Sigmoid',
  infer: floatUnary,
  gradient: ({ grad, outputs: [y] }) => [mul(grad, mul(y!, sub(1, y!)))],
  samples: [
    {
      inputs: [{ dtype: 'float32', shape: ['batch', 3], range: [-2, 2] }],
      sizes: { batch: 2 },
      build: sigmoid,
    },
  ],
});

/** `1 / (1 + exp(-x))`, element by element. */
export function sigmoid(x: Value): Value {
  return emit(sigmoidOp, [x], {});
}
