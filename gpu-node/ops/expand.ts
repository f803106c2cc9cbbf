import type { Shape, Value } from '../graph/ir.ts';
import { broadcast, formatShape, reject, sameShape } from '../graph/shapes.ts';
import { defineOp, emit } from './op.ts';
import { shapeTensor } from './shape.ts';

type ExpandAttributes = { readonly target: { readonly known: Shape } };

export const expandOp = defineOp<ExpandAttributes>({
  type: 'Expand',
  infer: ([x], { target }) => {
    const shape = broadcast(x!.shape, target.known);
    if (!shape || !sameShape(shape, target.known)) {
      reject(0, x!, `it does not broadcast to ${formatShape(target.known)}`);
    }
    return [{ dtype: x!.dtype, shape }];
  },
  gradient: ({ grad }) => [grad],
  samples: [
    {
      inputs: [{ dtype: 'float32', shape: ['batch', 1, 3] }],
      sizes: { batch: 2 },
      build: (x) => expand(x!, ['batch', 4, 3]),
    },
  ],
});

/** Repeats axes of size 1 (and missing leading axes) up to `shape`. */
export function expand(x: Value, shape: Shape): Value {
  if (sameShape(x.shape, shape)) return x;
  return emit(expandOp, [x, shapeTensor(x.graph, shape)], { target: { known: shape } });
}
