import type { TensorType, Value } from '../graph/ir.ts';
import { FLOATS, formatShape, reject, requireDType, sameShape } from '../graph/shapes.ts';
import { matMul, rightGradient } from './mat-mul.ts';
import { defineOp, emit } from './op.ts';
import { swapLastAxes } from './transpose.ts';

function infer(inputs: readonly Value[]): readonly TensorType[] {
  const [a, b, c] = inputs as [Value, Value, Value];
  for (const [i, value] of inputs.entries()) {
    requireDType(i, value, i === 0 ? FLOATS : [a.dtype]);
    if (value.shape.length !== 2) reject(i, value, 'it must be a matrix');
  }
  const [rows, inner] = a.shape;
  if (b.shape[0] !== inner) reject(1, b, `its first axis must be ${inner}, the last of operand 0`);
  const shape = [rows!, b.shape[1]!];
  if (!sameShape(c.shape, shape))
    reject(2, c, `its shape must be that of the product, ${formatShape(shape)}`);
  return [{ dtype: a.dtype, shape }];
}

export const gemmOp = defineOp({
  type: 'Gemm',
  infer,
  gradient: ({ inputs: [a, b], grad, needs }) => [
    needs(0) ? matMul(grad, swapLastAxes(b!)) : undefined,
    needs(1) ? rightGradient(a!, b!, grad) : undefined,
    needs(2) ? grad : undefined,
  ],
  samples: [
    {
      inputs: [
        { dtype: 'float32', shape: ['batch', 3] },
        { dtype: 'float32', shape: [3, 4] },
        { dtype: 'float32', shape: ['batch', 4] },
      ],
      sizes: { batch: 2 },
      build: (a, b, c) => gemm(a!, b!, c!),
    },
    {
      name: 'by a transposed matrix',
      inputs: [
        { dtype: 'float32', shape: ['batch', 3] },
        { dtype: 'float32', shape: [4, 3] },
        { dtype: 'float32', shape: ['batch', 4] },
      ],
      sizes: { batch: 2 },
      build: (a, b, c) => gemm(a!, swapLastAxes(b!), c!),
    },
  ],
});

/** `a * b + c` of matrices [m, k], [k, n] and [m, n]; the sum takes no pass of its own over the result. */
export function gemm(a: Value, b: Value, c: Value): Value {
  return emit(gemmOp, [a, b, c], {});
}
