import type { Value } from '../graph/ir.ts';
import { cos } from './cos.ts';
import { mul } from './mul.ts';
import { defineOp, emit, floatUnary } from './op.ts';

export const sinOp = defineOp({
  type: 'Sin',
  infer: floatUnary,
  gradient: ({ grad, inputs }) => [mul(grad, cos(inputs[0]!))],
  samples: [
    { inputs: [{ dtype: 'float32', shape: ['batch', 3], range: [-4, 4] }], sizes: { batch: 2 }, build: sin },
  ],
});

/** Sine of an angle in radians, element by element. */
export function sin(x: Value): Value {
  return emit(sinOp, [x], {});
}
