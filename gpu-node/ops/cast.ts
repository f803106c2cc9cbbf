import type { DType, Value } from '../graph/ir.ts';
import { DATA_TYPE } from '../graph/onnx.ts';
import { FLOATS } from '../graph/shapes.ts';
import { defineOp, emit } from './op.ts';

type CastAttributes = { readonly to: number };

function dtypeOf(to: number): DType {
  return (Object.keys(DATA_TYPE) as DType[]).find((dtype) => DATA_TYPE[dtype] === to)!;
}

export const castOp = defineOp<CastAttributes>({
  type: 'Cast',
  infer: ([x], { to }) => [{ dtype: dtypeOf(to), shape: x!.shape }],
  gradient: ({ grad, inputs }) => [
    FLOATS.includes(inputs[0]!.dtype) ? cast(grad, inputs[0]!.dtype) : undefined,
  ],
  samples: [
    {
      name: 'integers to floats',
      inputs: [{ dtype: 'int32', shape: ['batch', 3], range: [-3, 3] }],
      sizes: { batch: 2 },
      build: (x) => cast(x!, 'float32'),
    },
    {
      name: 'through another integer type',
      inputs: [{ dtype: 'int64', shape: [2, 3], range: [0, 4] }],
      build: (x) => cast(x!, 'int32'),
    },
  ],
});

/** Converts the elements to another dtype; a gradient flows between float types only. */
export function cast(x: Value, dtype: DType): Value {
  return x.dtype === dtype ? x : emit(castOp, [x], { to: DATA_TYPE[dtype] });
}
