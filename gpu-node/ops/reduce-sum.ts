import type { Value } from '../graph/ir.ts';
import { expand } from './expand.ts';
import { defineOp, emit } from './op.ts';
import {
  inferReduction,
  type ReduceAttributes,
  type ReduceOptions,
  reduction,
  restoreAxes,
} from './reduce.ts';

export const reduceSumOp = defineOp<ReduceAttributes>({
  type: 'ReduceSum',
  infer: inferReduction,
  gradient: ({ grad, inputs, attributes }) => [
    expand(restoreAxes(grad, inputs[0]!, attributes), inputs[0]!.shape),
  ],
  samples: [
    {
      name: 'keeps the axis',
      inputs: [{ dtype: 'float32', shape: ['batch', 3, 2] }],
      sizes: { batch: 2 },
      build: (x) => reduceSum(x!, [-1]),
    },
    {
      name: 'drops two axes',
      inputs: [{ dtype: 'float32', shape: ['batch', 3, 2] }],
      sizes: { batch: 2 },
      build: (x) => reduceSum(x!, [0, 2], { keepDims: false }),
    },
  ],
});

/** Sum over the axes; negative ones count from the end. The axes stay as size 1 unless `keepDims` is false. */
export function reduceSum(x: Value, axes: readonly number[], options?: ReduceOptions): Value {
  const { inputs, attributes } = reduction(x, axes, options);
  return emit(reduceSumOp, inputs, attributes);
}
