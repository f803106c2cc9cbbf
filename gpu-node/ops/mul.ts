import type { Value } from '../graph/ir.ts';
import { arithmetic, defineOp, emit, type Operand, operands } from './op.ts';

export const mulOp = defineOp({
  type: 'Mul',
  infer: arithmetic,
  gradient: ({ grad, inputs, needs }) => [
    needs(0) ? mul(grad, inputs[1]!) : undefined,
    needs(1) ? mul(grad, inputs[0]!) : undefined,
  ],
  samples: [
    {
      name: 'same shape',
      inputs: [
        { dtype: 'float32', shape: [2, 3], range: [-1, 1] },
        { dtype: 'float32', shape: [2, 3], range: [-1, 1] },
      ],
      build: mul,
    },
    {
      name: 'broadcast both ways',
      inputs: [
        { dtype: 'float32', shape: ['batch', 1, 3], range: [-1, 1] },
        { dtype: 'float32', shape: [4, 1], range: [-1, 1] },
      ],
      sizes: { batch: 2 },
      build: mul,
    },
  ],
});

/** `a * b` with broadcasting. */
export function mul(a: Operand, b: Operand): Value {
  return emit(mulOp, operands(a, b), {});
}
