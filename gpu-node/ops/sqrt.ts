import type { Value } from '../graph/ir.ts';
import { div } from './div.ts';
import { mul } from './mul.ts';
import { defineOp, emit, floatUnary } from './op.ts';

export const sqrtOp = defineOp({
  type: 'Sqrt',
  infer: floatUnary,
  gradient: ({ grad, outputs }) => [div(mul(grad, 0.5), outputs[0]!)],
  samples: [
    {
      inputs: [{ dtype: 'float32', shape: ['batch', 3], range: [0.5, 4] }],
      sizes: { batch: 2 },
      build: sqrt,
    },
  ],
});

/** Square root, element by element. */
export function sqrt(x: Value): Value {
  return emit(sqrtOp, [x], {});
}
