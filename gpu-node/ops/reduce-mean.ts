import type { Value } from '../graph/ir.ts';
import { product, ShapeError } from '../graph/shapes.ts';
import { cast } from './cast.ts';
import { div } from './div.ts';
import { expand } from './expand.ts';
import { mul } from './mul.ts';
import { defineOp, emit } from './op.ts';
import {
  inferReduction,
  type ReduceAttributes,
  type ReduceOptions,
  reduction,
  restoreAxes,
} from './reduce.ts';
import { reshape } from './reshape.ts';
import { sizeOf } from './shape.ts';

/** Divides by the number of elements that a mean ran over, read at run time if it is not a number. */
function divideByCount(grad: Value, x: Value, axes: readonly number[]): Value {
  const count = product(axes.map((axis) => x.shape[axis]!));
  if (count === 0) throw new ShapeError('the mean of no elements has no gradient');
  if (typeof count === 'number') return mul(grad, 1 / count);
  return div(grad, cast(reshape(sizeOf(x.graph, count), []), x.dtype));
}

export const reduceMeanOp = defineOp<ReduceAttributes>({
  type: 'ReduceMean',
  infer: inferReduction,
  gradient: ({ grad, inputs, attributes }) => {
    const scaled = divideByCount(grad, inputs[0]!, attributes.axes.known);
    return [expand(restoreAxes(scaled, inputs[0]!, attributes), inputs[0]!.shape)];
  },
  samples: [
    {
      name: 'known count',
      inputs: [{ dtype: 'float32', shape: ['batch', 3, 2] }],
      sizes: { batch: 2 },
      build: (x) => reduceMean(x!, [-1]),
    },
    {
      name: 'count known at run time',
      inputs: [{ dtype: 'float32', shape: ['batch', 3, 2] }],
      sizes: { batch: 2 },
      build: (x) => reduceMean(x!, [0, 2], { keepDims: false }),
    },
  ],
});

/** Mean over the axes; negative ones count from the end. The axes stay as size 1 unless `keepDims` is false. */
export function reduceMean(x: Value, axes: readonly number[], options?: ReduceOptions): Value {
  const { inputs, attributes } = reduction(x, axes, options);
  return emit(reduceMeanOp, inputs, attributes);
}
