import type { Value } from '../graph/ir.ts';
import { mul } from './mul.ts';
import { defineOp, emit, floatUnary } from './op.ts';
import { reduceSum } from './reduce-sum.ts';
import { sub } from './sub.ts';

export const softmaxOp = defineOp<{ axis: number }>({
  type: 'Softmax',
  infer: floatUnary,
  gradient: ({ grad, outputs }) => {
    const weighted = mul(grad, outputs[0]!);
    return [sub(weighted, mul(outputs[0]!, reduceSum(weighted, [-1])))];
  },
  samples: [{ inputs: [{ dtype: 'float32', shape: ['batch', 2, 4] }], sizes: { batch: 2 }, build: softmax }],
});

/** Softmax over the last axis. */
export function softmax(x: Value): Value {
  return emit(softmaxOp, [x], { axis: -1 });
}
