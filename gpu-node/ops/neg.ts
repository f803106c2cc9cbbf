import type { Value } from '../graph/ir.ts';
import { defineOp, emit, floatUnary } from './op.ts';

export const negOp = defineOp({
  type: 'Neg',
  infer: floatUnary,
  gradient: ({ grad }) => [neg(grad)],
  samples: [
    { inputs: [{ dtype: 'float32', shape: ['batch', 3], range: [-2, 2] }], sizes: { batch: 2 }, build: neg },
  ],
});

/** `-x`, element by element. */
export function neg(x: Value): Value {
  return emit(negOp, [x], {});
}
