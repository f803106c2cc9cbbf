import type { Dim, Value } from '../graph/ir.ts';
import { toAxis } from '../graph/shapes.ts';
import { defineOp, emit } from './op.ts';
import { squeeze } from './squeeze.ts';

type UnsqueezeAttributes = { readonly axes: { readonly known: readonly number[] } };

export const unsqueezeOp = defineOp<UnsqueezeAttributes>({
  type: 'Unsqueeze',
  infer: ([x], { axes }) => {
    const shape: Dim[] = [...x!.shape];
    for (const axis of axes.known) shape.splice(axis, 0, 1);
    return [{ dtype: x!.dtype, shape }];
  },
  gradient: ({ grad, attributes: { axes } }) => [squeeze(grad, axes.known)],
  samples: [
    {
      inputs: [{ dtype: 'float32', shape: ['batch', 'seq'] }],
      sizes: { batch: 2, seq: 3 },
      build: (x) => unsqueeze(x!, [1, -1]),
    },
  ],
});

/** Inserts axes of size 1; `axes` are positions in the result. */
export function unsqueeze(x: Value, axes: readonly number[]): Value {
  const rank = x.shape.length + axes.length;
  const known = axes.map((axis) => toAxis(axis, rank)).sort((a, b) => a - b);
  return emit(unsqueezeOp, [x, x.graph.constant('int64', [known.length], known)], { axes: { known } });
}
