import type { Value } from '../graph/ir.ts';
import { mul } from './mul.ts';
import { neg } from './neg.ts';
import { defineOp, emit, floatUnary } from './op.ts';

export const reciprocalOp = defineOp({
  type: 'Reciprocal',
  infer: floatUnary,
  gradient: ({ grad, outputs }) => [neg(mul(grad, mul(outputs[0]!, outputs[0]!)))],
  samples: [
    {
      inputs: [{ dtype: 'float32', shape: ['batch', 3], range: [0.5, 3] }],
      sizes: { batch: 2 },
      build: reciprocal,
    },
  ],
});

/** `1 / x`, element by element. */
export function reciprocal(x: Value): Value {
  return emit(reciprocalOp, [x], {});
}
