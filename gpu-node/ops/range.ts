import type { Graph } from '../graph/builder.ts';
import type { Dim, Value } from '../graph/ir.ts';
import { cast } from './cast.ts';
import { defineOp, emit } from './op.ts';
import { sizeOf } from './shape.ts';
import { squeeze } from './squeeze.ts';

type RangeAttributes = { readonly size: { readonly known: readonly [Dim] } };

export const rangeOp = defineOp<RangeAttributes>({
  type: 'Range',
  infer: ([start], { size }) => [{ dtype: start!.dtype, shape: size.known }],
  gradient: { none: 'numbers of places are integers' },
  samples: [
    {
      inputs: [{ dtype: 'float32', shape: ['batch', 3] }],
      sizes: { batch: 2 },
      build: (x) => range(x!.graph, 'batch'),
    },
  ],
});

/** The numbers 0, 1, … below a size of the graph, int32 `[size]`. */
export function range(graph: Graph, size: Dim): Value {
  if (typeof size === 'number') return graph.constant('int32', [size], [...new Array(size).keys()]);
  const limit = squeeze(sizeOf(graph, size), [0]);
  const ends = [graph.scalar(0, 'int64'), limit, graph.scalar(1, 'int64')];
  return cast(emit(rangeOp, ends, { size: { known: [size] } }), 'int32');
}
