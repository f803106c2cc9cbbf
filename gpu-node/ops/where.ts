import type { Value } from '../graph/ir.ts';
import { broadcast, broadcastType, formatShape, reject, requireDType } from '../graph/shapes.ts';
import { defineOp, emit, type Operand, operands } from './op.ts';

export const whereOp = defineOp({
  type: 'Where',
  infer: (inputs) => {
    const [condition, a, b] = inputs as [Value, Value, Value];
    requireDType(0, condition, ['bool']);
    const { dtype, shape } = broadcastType([a, b]);
    const all = broadcast(condition.shape, shape);
    if (!all) reject(0, condition, `its shape does not broadcast with ${formatShape(shape)}`);
    return [{ dtype, shape: all }];
  },
  gradient: ({ grad, inputs: [condition], needs }) => [
    undefined,
    needs(1) ? where(condition!, grad, 0) : undefined,
    needs(2) ? where(condition!, 0, grad) : undefined,
  ],
  samples: [
    {
      inputs: [
        { dtype: 'bool', shape: ['batch', 1, 3], range: [0, 1] },
        { dtype: 'float32', shape: [4, 3] },
        { dtype: 'float32', shape: ['batch', 1, 1] },
      ],
      sizes: { batch: 2 },
      build: (condition, a, b) => where(condition!, a!, b!),
    },
  ],
});

/** `a` where the bool `condition` is true, else `b`, with broadcasting. */
export function where(condition: Value, a: Operand, b: Operand): Value {
  return emit(whereOp, [condition, ...operands(a, b)], {});
}
