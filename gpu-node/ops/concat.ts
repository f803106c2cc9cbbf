import type { Dim, TensorType, Value } from '../graph/ir.ts';
import { formatShape, reject, requireDType, ShapeError, sameShape, toAxis } from '../graph/shapes.ts';
import { defineOp, emit } from './op.ts';
import { split } from './split.ts';

type ConcatAttributes = { readonly axis: number };

function infer(inputs: readonly Value[], { axis }: ConcatAttributes): readonly TensorType[] {
  const first = inputs[0]!;
  const at = toAxis(axis, first.shape.length);
  inputs.forEach((value, i) => {
    requireDType(i, value, [first.dtype]);
    const alike = first.shape.map((dim, k) => (k === at ? (value.shape[at] ?? dim) : dim));
    if (!sameShape(value.shape, alike)) {
      reject(i, value, `outside axis ${at} its shape must be that of operand 0, ${formatShape(first.shape)}`);
    }
  });
  const shape = first.shape.with(at, sum(inputs.map((value) => value.shape[at]!)));
  return [{ dtype: first.dtype, shape }];
}

/** A number, or a symbol of its own such as `rank+1`. */
function sum(dims: readonly Dim[]): Dim {
  const symbols = dims.filter((dim) => typeof dim !== 'number').sort();
  const known = dims.reduce<number>((total, dim) => (typeof dim === 'number' ? total + dim : total), 0);
  return symbols.length === 0 ? known : [...symbols, ...(known > 0 ? [known] : [])].join('+');
}

function knownSize(value: Value, axis: number): number {
  const size = value.shape[axis]!;
  if (typeof size === 'number') return size;
  throw new ShapeError(`axis of size ${size}: the gradient of a concatenation needs known sizes`);
}

export const concatOp = defineOp<ConcatAttributes>({
  type: 'Concat',
  infer,
  gradient: ({ grad, inputs, attributes: { axis } }) => {
    const at = toAxis(axis, grad.shape.length);
    return split(
      grad,
      at,
      inputs.map((value) => knownSize(value, at)),
    );
  },
  samples: [
    {
      inputs: [
        { dtype: 'float32', shape: ['batch', 2, 3] },
        { dtype: 'float32', shape: ['batch', 4, 3] },
        { dtype: 'float32', shape: ['batch', 1, 3] },
      ],
      sizes: { batch: 2 },
      build: (...parts) => concat(parts, 1),
    },
  ],
});

/** Joins values along an axis; the other axes must agree. It differentiates where the sizes along the axis are known. */
export function concat(parts: readonly Value[], axis: number): Value {
  return parts.length === 1 ? parts[0]! : emit(concatOp, parts, { axis });
}
