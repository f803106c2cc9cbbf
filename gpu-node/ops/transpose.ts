import type { Value } from '../graph/ir.ts';
import { reject } from '../graph/shapes.ts';
import { defineOp, emit } from './op.ts';

type TransposeAttributes = { readonly perm: readonly number[] };

export const transposeOp = defineOp<TransposeAttributes>({
  type: 'Transpose',
  infer: ([x], { perm }) => {
    const isPermutation = [...perm].sort((a, b) => a - b).every((axis, i) => axis === i);
    if (!isPermutation || perm.length !== x!.shape.length)
      reject(0, x!, `[${perm}] does not permute its axes`);
    return [{ dtype: x!.dtype, shape: perm.map((axis) => x!.shape[axis]!) }];
  },
  gradient: ({ grad, attributes: { perm } }) => [
    transpose(
      grad,
      perm.map((_, i) => perm.indexOf(i)),
    ),
  ],
  samples: [
    {
      inputs: [{ dtype: 'float32', shape: ['batch', 3, 4, 2] }],
      sizes: { batch: 2 },
      build: (x) => transpose(x!, [2, 0, 3, 1]),
    },
  ],
});

/** Reorders the axes: axis `i` of the result is axis `perm[i]` of `x`. A transpose of a transpose becomes one transpose, or none. */
export function transpose(x: Value, perm: readonly number[]): Value {
  if (perm.every((axis, i) => axis === i) && perm.length === x.shape.length) return x;
  const first = transposedFrom(x);
  if (first)
    return transpose(
      first.value,
      perm.map((axis) => first.perm[axis]!),
    );
  return emit(transposeOp, [x], { perm });
}

/** The value and permutation that a transposed value comes from. */
function transposedFrom({ source }: Value): { value: Value; perm: readonly number[] } | undefined {
  if (source.kind !== 'node' || source.node.op.type !== transposeOp.type) return undefined;
  const { perm } = source.node.attributes as TransposeAttributes;
  return { value: source.node.inputs[0]!, perm };
}

/** True if a value is made by swapping its last two axes, and perhaps others. */
export function hasSwappedAxes(x: Value): boolean {
  const perm = transposedFrom(x)?.perm;
  return perm !== undefined && perm.at(-1)! < perm.at(-2)!;
}

/** Transposes the last two axes. */
export function swapLastAxes(x: Value): Value {
  const axes = x.shape.map((_, i) => i);
  const rank = axes.length;
  return transpose(x, [...axes.slice(0, -2), rank - 1, rank - 2]);
}
