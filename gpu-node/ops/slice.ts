import type { TensorType, Value } from '../graph/ir.ts';
import { reject, toAxis } from '../graph/shapes.ts';
import { concat } from './concat.ts';
import { defineOp, emit } from './op.ts';
import { pad } from './pad.ts';
import { sizeOf } from './shape.ts';
import { sub } from './sub.ts';

type SliceAttributes = {
  readonly range: { readonly known: readonly [axis: number, start: number, end: number] };
};

function infer(inputs: readonly Value[], { range }: SliceAttributes): readonly TensorType[] {
  const x = inputs[0]!;
  const [axis, start, end] = range.known;
  const size = x.shape[toAxis(axis, x.shape.length)]!;
  if (start < 0 || end <= start) reject(0, x, `[${start}, ${end}) is not a range`);
  if (typeof size === 'number' && end > size) reject(0, x, `axis ${axis} ends before ${end}`);
  return [{ dtype: x.dtype, shape: x.shape.with(axis, end - start) }];
}

/** Puts zeros around the gradient, up to the size that the axis had (read at run time if it is a symbol). */
function gradient(grad: Value, x: Value, [axis, start, end]: readonly [number, number, number]): Value {
  const zeros = (count: number) => x.graph.constant('int64', [count], new Array<number>(count).fill(0));
  const vector = (size: number) => x.graph.constant('int64', [1], [size]);
  const parts = (size: Value) => [zeros(axis), size, zeros(x.shape.length - axis - 1)];
  const after = sub(sizeOf(x.graph, x.shape[axis]!), vector(end));
  const pads = [...parts(vector(start)), ...parts(after)].filter((part) => part.shape[0] !== 0);
  return pad(grad, concat(pads, 0), x.shape);
}

export const sliceOp = defineOp<SliceAttributes>({
  type: 'Slice',
  infer,
  gradient: ({ grad, inputs, attributes: { range } }) => [gradient(grad, inputs[0]!, range.known)],
  samples: [
    {
      name: 'known size',
      inputs: [{ dtype: 'float32', shape: ['batch', 5] }],
      sizes: { batch: 2 },
      build: (x) => slice(x!, 1, 1, 4),
    },
    {
      name: 'first of an axis of symbolic size',
      inputs: [{ dtype: 'float32', shape: ['batch', 'seq', 2] }],
      sizes: { batch: 2, seq: 3 },
      build: (x) => slice(x!, 1, 0, 1),
    },
  ],
});

/** The range [start, end) of one axis; an axis of symbolic size must have at least `end` elements. */
export function slice(x: Value, axis: number, start: number, end: number): Value {
  const at = toAxis(axis, x.shape.length);
  const bounds = [[start], [end], [at]].map((bound) => x.graph.constant('int64', [1], bound));
  return emit(sliceOp, [x, ...bounds], { range: { known: [at, start, end] } });
}
