import type { Shape, Value } from '../graph/ir.ts';
import { reject } from '../graph/shapes.ts';
import { defineOp, emit } from './op.ts';

type PadAttributes = { readonly target: { readonly known: Shape } };

export const padOp = defineOp<PadAttributes>({
  type: 'Pad',
  infer: (inputs, { target }) => {
    const [x, pads] = inputs as [Value, Value];
    if (pads.shape[0] !== 2 * x.shape.length) reject(1, pads, `it must hold ${2 * x.shape.length} sizes`);
    return [{ dtype: x.dtype, shape: target.known }];
  },
  gradient: { none: 'it appears in gradients of slices only; nobody differentiates twice' },
  samples: [
    {
      inputs: [{ dtype: 'float32', shape: ['batch', 2] }],
      sizes: { batch: 2 },
      build: (x) => pad(x!, x!.graph.constant('int64', [4], [0, 1, 0, 2]), ['batch', 5]),
    },
  ],
});

/** Puts zeros around `x`: `pads` holds the counts before each axis, then those after; `target` is the result's shape. */
export function pad(x: Value, pads: Value, target: Shape): Value {
  return emit(padOp, [x, pads], { target: { known: target } });
}
