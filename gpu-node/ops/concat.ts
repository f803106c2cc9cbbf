import type { TensorType, Value } from '../graph/ir.ts';
import { formatShape, reject, requireDType, sameShape, sum, toAxis } from '../graph/shapes.ts';
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

export const concatOp = defineOp<ConcatAttributes>({
  type: 'Concat',
  infer,
  gradient: ({ grad, inputs, attributes: { axis } }) => {
    const at = toAxis(axis, grad.shape.length);
    return split(
      grad,
      at,
      inputs.map((value) => value.shape[at]!),
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
    {
      name: 'sizes known at run time',
      inputs: [
        { dtype: 'float32', shape: ['batch', 4, 3] },
        { dtype: 'float32', shape: ['batch', 'seq', 3] },
        { dtype: 'float32', shape: ['batch', 'seq', 3] },
      ],
      sizes: { batch: 2, seq: 5 },
      build: (...parts) => concat(parts, 1),
    },
  ],
});

/** Joins values along an axis; the other axes must agree. */
export function concat(parts: readonly Value[], axis: number): Value {
  return parts.length === 1 ? parts[0]! : emit(concatOp, parts, { axis });
}
