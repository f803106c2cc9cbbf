import type { Value } from '../graph/ir.ts';
import { exp } from './exp.ts';
import { mul } from './mul.ts';
import { defineOp, emit, floatUnary } from './op.ts';
import { reduceSum } from './reduce-sum.ts';
import { sub } from './sub.ts';

export const logSoftmaxOp = defineOp<{ axis: number }>({
  type: 'LogSoftmax',
  infer: floatUnary,
  gradient: ({ grad, outputs }) => [sub(grad, mul(exp(outputs[0]!), reduceSum(grad, [-1])))],
  samples: [{ inputs: [{ dtype: 'float32', shape: ['batch', 4] }], sizes: { batch: 3 }, build: logSoftmax }],
});

/** Logarithm of softmax over the last axis. */
export function logSoftmax(x: Value): Value {
  return emit(logSoftmaxOp, [x], { axis: -1 });
}
