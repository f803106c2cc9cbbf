import type { Value } from '../graph/ir.ts';
import { greater } from './greater.ts';
import { defineOp, emit, floatUnary } from './op.ts';
import { where } from './where.ts';

export const reluOp = defineOp({
  type: 'Relu',
  infer: floatUnary,
  gradient: ({ grad, outputs }) => [where(greater(outputs[0]!, 0), grad, 0)],
  samples: [
    { inputs: [{ dtype: 'float32', shape: [2, 3], values: [-1, 0.5, 2, -0.3, 1.5, -2] }], build: relu },
  ],
});

/** `max(x, 0)`, element by element; its derivative at 0 is 0. */
export function relu(x: Value): Value {
  return emit(reluOp, [x], {});
}
