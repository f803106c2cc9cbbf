import type { Value } from '../graph/ir.ts';
import { broadcastType } from '../graph/shapes.ts';
import { defineOp, emit, type Operand, operands } from './op.ts';

export const equalOp = defineOp({
  type: 'Equal',
  infer: (inputs) => [{ dtype: 'bool', shape: broadcastType(inputs).shape }],
  gradient: { none: 'a comparison is constant almost everywhere' },
  samples: [
    {
      inputs: [
        { dtype: 'int32', shape: ['batch', 1], range: [0, 3] },
        { dtype: 'int32', shape: [3], range: [0, 3] },
      ],
      sizes: { batch: 4 },
      build: equal,
    },
  ],
});

/** `a == b` with broadcasting, as bool. Use int32, which every execution provider compares. */
export function equal(a: Operand, b: Operand): Value {
  return emit(equalOp, operands(a, b), {});
}
