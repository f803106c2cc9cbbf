import type { Shape, TensorType, Value } from '../graph/ir.ts';
import { broadcast, FLOATS, formatShape, product, reject, requireDType } from '../graph/shapes.ts';
import { defineOp, emit } from './op.ts';
import { reshape } from './reshape.ts';
import { hasSwappedAxes, swapLastAxes } from './transpose.ts';

function infer(inputs: readonly Value[]): readonly TensorType[] {
  const [a, b] = inputs as [Value, Value];
  for (const [i, value] of [a, b].entries()) {
    requireDType(i, value, FLOATS);
    if (value.shape.length < 2) reject(i, value, 'a matrix product needs at least two axes');
  }
  requireDType(1, b, [a.dtype]);
  const inner = a.shape.at(-1)!;
  if (b.shape.at(-2) !== inner) reject(1, b, `its second last axis must be ${inner}, the last of operand 0`);
  const batch = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
  if (!batch) reject(1, b, `its leading axes do not broadcast with ${formatShape(a.shape.slice(0, -2))}`);
  return [{ dtype: a.dtype, shape: [...batch, a.shape.at(-2)!, b.shape.at(-1)!] }];
}

/** Joins a stack of rows into one matrix, so that all rows take one product. */
export function asMatrix(x: Value): Value {
  return x.shape.length === 2 ? x : reshape(x, [product(x.shape.slice(0, -1)), x.shape.at(-1)!]);
}

/** The gradient of `a * b` by b. For a transposed b it is computed transposed, so that the transpose's own gradient undoes nothing. */
export function rightGradient(a: Value, b: Value, grad: Value): Value {
  const [rows, by] = b.shape.length === 2 ? [asMatrix(a), asMatrix(grad)] : [a, grad];
  return hasSwappedAxes(b) ? swapLastAxes(matMul(swapLastAxes(by), rows)) : matMul(swapLastAxes(rows), by);
}

const sample = (a: Shape, b: Shape, name: string) => ({
  name,
  inputs: [
    { dtype: 'float32' as const, shape: a },
    { dtype: 'float32' as const, shape: b },
  ],
  sizes: { batch: 2 },
  build: matMul,
});

function byTransposed(a: Value, b: Value): Value {
  return matMul(a, swapLastAxes(b));
}

export const matMulOp = defineOp({
  type: 'MatMul',
  infer,
  gradient: ({ inputs: [a, b], grad, needs }) => [
    needs(0) ? matMul(grad, swapLastAxes(b!)) : undefined,
    needs(1) ? rightGradient(a!, b!, grad) : undefined,
  ],
  samples: [
    sample([2, 3], [3, 4], 'two matrices'),
    sample(['batch', 3, 4], [4, 2], 'rows by one matrix'),
    sample(['batch', 3, 4], ['batch', 4, 2], 'batches'),
    sample(['batch', 1, 3, 4], [2, 4, 2], 'batches that broadcast'),
    sample([3, 4], ['batch', 4, 2], 'one matrix by a batch'),
    { ...sample(['batch', 3, 4], ['batch', 2, 4], 'by a transposed batch'), build: byTransposed },
    { ...sample(['batch', 3, 4], [2, 4], 'by a transposed matrix'), build: byTransposed },
  ],
});

/** Matrix product of the last two axes; the axes before them are broadcast: [.., m, k] x [.., k, n] -> [.., m, n]. */
export function matMul(a: Value, b: Value): Value {
  return emit(matMulOp, [a, b], {});
}
