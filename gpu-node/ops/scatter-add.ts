import type { TensorType, Value } from '../graph/ir.ts';
import { formatShape, INTEGERS, reject, requireDType, sameShape } from '../graph/shapes.ts';
import { cast } from './cast.ts';
import { gather } from './gather.ts';
import { defineOp, emit } from './op.ts';
import { reshape } from './reshape.ts';

type ScatterAttributes = { readonly reduction: 'add' };

function infer(inputs: readonly Value[]): readonly TensorType[] {
  const [table, indices, rows] = inputs as [Value, Value, Value];
  requireDType(1, indices, INTEGERS);
  requireDType(2, rows, [table.dtype]);
  const expected = [...indices.shape.slice(0, -1), ...table.shape.slice(1)];
  if (!sameShape(rows.shape, expected)) reject(2, rows, `its shape must be ${formatShape(expected)}`);
  return [table];
}

export const scatterAddOp = defineOp<ScatterAttributes>({
  type: 'ScatterND',
  infer,
  gradient: ({ inputs: [, indices], grad, needs }) => [
    needs(0) ? grad : undefined,
    undefined,
    needs(2) ? gather(grad, reshape(indices!, indices!.shape.slice(0, -1))) : undefined,
  ],
  samples: [
    {
      inputs: [
        { dtype: 'float32', shape: [4, 3] },
        { dtype: 'int64', shape: ['batch', 2], values: [0, 2, 2, 3] },
        { dtype: 'float32', shape: ['batch', 2, 3] },
      ],
      sizes: { batch: 2 },
      build: (table, indices, rows) => scatterAdd(table!, indices!, rows!),
    },
  ],
});

/** `table` with each of `rows` added to the row that its index names; the gradient of `gather`. */
export function scatterAdd(table: Value, indices: Value, rows: Value): Value {
  const column = reshape(cast(indices, 'int64'), [...indices.shape, 1]);
  return emit(scatterAddOp, [table, column, rows], { reduction: 'add' });
}
