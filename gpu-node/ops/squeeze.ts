import type { Value } from '../graph/ir.ts';
import { reject, toAxis } from '../graph/shapes.ts';
import { defineOp, emit } from './op.ts';
import { unsqueeze } from './unsqueeze.ts';

type SqueezeAttributes = { readonly axes: { readonly known: readonly number[] } };

export const squeezeOp = defineOp<SqueezeAttributes>({
  type: 'Squeeze',
  infer: ([x], { axes }) => {
    for (const axis of axes.known) {
      if (x!.shape[axis] !== 1) reject(0, x!, `axis ${axis} has not size 1`);
    }
    return [{ dtype: x!.dtype, shape: x!.shape.filter((_, i) => !axes.known.includes(i)) }];
  },
  gradient: ({ grad, attributes: { axes } }) => [unsqueeze(grad, axes.known)],
  samples: [
    {
      inputs: [{ dtype: 'float32', shape: ['batch', 1, 3, 1] }],
      sizes: { batch: 2 },
      build: (x) => squeeze(x!, [1, -1]),
    },
  ],
});

/** Removes axes of size 1. */
export function squeeze(x: Value, axes: readonly number[]): Value {
  const known = axes.map((axis) => toAxis(axis, x.shape.length)).sort((a, b) => a - b);
  return emit(squeezeOp, [x, x.graph.constant('int64', [known.length], known)], { axes: { known } });
}
