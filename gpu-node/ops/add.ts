import type { Value } from '../graph/ir.ts';
import { arithmetic, defineOp, emit, type Operand, operands } from './op.ts';

export const addOp = defineOp({
  type: 'Add',
  infer: arithmetic,
  gradient: ({ grad, needs }) => [needs(0) ? grad : undefined, needs(1) ? grad : undefined],
  samples: [
    {
      name: 'same shape',
      inputs: [
        { dtype: 'float32', shape: [2, 3], range: [-1, 1] },
        { dtype: 'float32', shape: [2, 3], range: [-1, 1] },
      ],
      build: add,
    },
    {
      name: 'broadcast both ways',
      inputs: [
        { dtype: 'float32', shape: ['batch', 1, 3], range: [-1, 1] },
        { dtype: 'float32', shape: [4, 1], range: [-1, 1] },
      ],
      sizes: { batch: 2 },
      build: add,
    },
  ],
});

/** `a + b` with broadcasting. */
export function add(a: Operand, b: Operand): Value {
  return emit(addOp, operands(a, b), {});
}
