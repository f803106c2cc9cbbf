import type { Value } from '../graph/ir.ts';
import { mul } from './mul.ts';
import { neg } from './neg.ts';
import { arithmetic, defineOp, emit, type Operand, operands } from './op.ts';

export const divOp = defineOp({
  type: 'Div',
  infer: arithmetic,
  gradient: ({ grad, inputs, outputs, needs }) => {
    const scaled = div(grad, inputs[1]!);
    return [needs(0) ? scaled : undefined, needs(1) ? neg(mul(scaled, outputs[0]!)) : undefined];
  },
  samples: [
    {
      name: 'same shape',
      inputs: [
        { dtype: 'float32', shape: [2, 3], range: [0.5, 2] },
        { dtype: 'float32', shape: [2, 3], range: [0.5, 2] },
      ],
      build: div,
    },
    {
      name: 'broadcast both ways',
      inputs: [
        { dtype: 'float32', shape: ['batch', 1, 3], range: [0.5, 2] },
        { dtype: 'float32', shape: [4, 1], range: [0.5, 2] },
      ],
      sizes: { batch: 2 },
      build: div,
    },
  ],
});

/** `a / b` with broadcasting. */
export function div(a: Operand, b: Operand): Value {
  return emit(divOp, operands(a, b), {});
}
