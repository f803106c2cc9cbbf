import type { Value } from '../graph/ir.ts';
import { mul } from './mul.ts';
import { neg } from './neg.ts';
import { defineOp, emit, floatUnary } from './op.ts';
import { sin } from './sin.ts';

export const cosOp = defineOp({
  type: 'Cos',
  infer: floatUnary,
  gradient: ({ grad, inputs }) => [neg(mul(grad, sin(inputs[0]!)))],
  samples: [
    { inputs: [{ dtype: 'float32', shape: ['batch', 3], range: [-4, 4] }], sizes: { batch: 2 }, build: cos },
  ],
});

/** Cosine of an angle in radians, element by element. */
export function cos(x: Value): Value {
  return emit(cosOp, [x], {});
}
