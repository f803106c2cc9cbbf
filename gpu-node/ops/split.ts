import type { Shape, TensorType, Value } from '../graph/ir.ts';
import { reject, sum, toAxis } from '../graph/shapes.ts';
import { concat } from './concat.ts';
import { expand } from './expand.ts';
import { defineOp } from './op.ts';
import { shapeTensor } from './shape.ts';

type SplitAttributes = { readonly axis: number; readonly sizes: { readonly known: Shape } };

function infer(inputs: readonly Value[], { axis, sizes }: SplitAttributes): readonly TensorType[] {
  const x = inputs[0]!;
  const at = toAxis(axis, x.shape.length);
  if (x.shape[at] !== sum(sizes.known)) reject(0, x, `axis ${at} does not split into [${sizes.known}]`);
  return sizes.known.map((size) => ({ dtype: x.dtype, shape: x.shape.with(at, size) }));
}

export const splitOp = defineOp<SplitAttributes>({
  type: 'Split',
  infer,
  gradient: ({ grads, outputs, attributes: { axis } }) => [
    concat(
      outputs.map((part, i) => grads[i] ?? expand(part.graph.scalar(0, part.dtype), part.shape)),
      axis,
    ),
  ],
  samples: [
    {
      inputs: [{ dtype: 'float32', shape: ['batch', 6] }],
      sizes: { batch: 2 },
      build: (x) => split(x!, 1, [1, 3, 2]),
    },
    {
      name: 'sizes known at run time',
      inputs: [
        { dtype: 'float32', shape: [2, '(seq+3)'] },
        { dtype: 'int32', shape: ['seq'] },
      ],
      sizes: { seq: 4 },
      build: (x) => split(x!, 1, ['seq', 3]),
    },
  ],
});

/** Cuts an axis into parts of the given sizes; the reverse of `concat`. */
export function split(x: Value, axis: number, sizes: Shape): readonly Value[] {
  const lengths = shapeTensor(x.graph, sizes);
  return x.graph.add(splitOp, [x, lengths], { axis, sizes: { known: sizes } });
}
