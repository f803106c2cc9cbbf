import type { TensorType, Value } from '../graph/ir.ts';
import { INTEGERS, reject, requireDType } from '../graph/shapes.ts';
import { expand } from './expand.ts';
import { defineOp, emit } from './op.ts';
import { scatterAdd } from './scatter-add.ts';

type GatherAttributes = { readonly axis: 0 };

function infer(inputs: readonly Value[]): readonly TensorType[] {
  const [table, indices] = inputs as [Value, Value];
  if (table.shape.length === 0) reject(0, table, 'a scalar has no rows to gather');
  requireDType(1, indices, INTEGERS);
  return [{ dtype: table.dtype, shape: [...indices.shape, ...table.shape.slice(1)] }];
}

export const gatherOp = defineOp<GatherAttributes>({
  type: 'Gather',
  infer,
  gradient: ({ inputs, grad }) => {
    const [table, indices] = inputs as [Value, Value];
    const zeros = expand(table.graph.scalar(0, table.dtype), table.shape);
    return [scatterAdd(zeros, indices, grad), undefined];
  },
  samples: [
    {
      name: 'repeated rows',
      inputs: [
        { dtype: 'float32', shape: [4, 3] },
        { dtype: 'int32', shape: ['batch', 3], values: [0, 2, 2, 3, 0, 2] },
      ],
      sizes: { batch: 2 },
      build: gather,
    },
    {
      name: 'matrices by slot',
      inputs: [
        { dtype: 'float32', shape: ['slots', 2, 3] },
        { dtype: 'int32', shape: ['batch'], values: [1, 0, 1] },
      ],
      sizes: { slots: 2, batch: 3 },
      build: gather,
    },
  ],
});

/** Picks rows of `table` by index: [rows, ..rest] and [..indices] give [..indices, ..rest]. Indices are int32 or int64. */
export function gather(table: Value, indices: Value): Value {
  return emit(gatherOp, [table, indices], { axis: 0 });
}
