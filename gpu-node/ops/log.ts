import type { Value } from '../graph/ir.ts';
import { div } from './div.ts';
import { defineOp, emit, floatUnary } from './op.ts';

export const logOp = defineOp({
  type: 'Log',
  infer: floatUnary,
  gradient: ({ grad, inputs }) => [div(grad, inputs[0]!)],
  samples: [
    { inputs: [{ dtype: 'float32', shape: ['batch', 3], range: [0.5, 4] }], sizes: { batch: 2 }, build: log },
  ],
});

/** Natural logarithm, element by element. */
export function log(x: Value): Value {
  return emit(logOp, [x], {});
}
