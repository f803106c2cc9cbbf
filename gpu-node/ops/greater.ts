import type { Value } from '../graph/ir.ts';
import { broadcastType } from '../graph/shapes.ts';
import { defineOp, emit, type Operand, operands } from './op.ts';

export const greaterOp = defineOp({
  type: 'Greater',
  infer: (inputs) => [{ dtype: 'bool', shape: broadcastType(inputs).shape }],
  gradient: { none: 'a comparison is constant almost everywhere' },
  samples: [
    {
      inputs: [
        { dtype: 'int32', shape: ['batch', 1], range: [0, 3] },
        { dtype: 'int32', shape: [3], range: [0, 3] },
      ],
      sizes: { batch: 4 },
      build: greater,
    },
  ],
});

/** `a > b` with broadcasting, as bool. */
export function greater(a: Operand, b: Operand): Value {
  return emit(greaterOp, operands(a, b), {});
}
