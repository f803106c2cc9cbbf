import type { TensorType, Value } from '../graph/ir.ts';
import { reject, toAxis } from '../graph/shapes.ts';
import { defineOp, emit } from './op.ts';

type SwapAttributes = { readonly axis: number };

function infer(inputs: readonly Value[], { axis }: SwapAttributes): readonly TensorType[] {
  const x = inputs[0]!;
  if (x.shape[axis] !== 2) reject(0, x, `axis ${axis} is no pair`);
  return [x];
}

export const swapPairOp = defineOp<SwapAttributes>({
  type: 'Gather',
  infer,
  gradient: ({ grad, attributes: { axis } }) => [swapPair(grad, axis)],
  samples: [
    {
      inputs: [{ dtype: 'float32', shape: ['batch', 3, 2, 4] }],
      sizes: { batch: 2 },
      build: (x) => swapPair(x!, 2),
    },
  ],
});

/** The two entries of an axis of size 2, each in the other's place. */
export function swapPair(x: Value, axis: number): Value {
  const order = x.graph.constant('int64', [2], [1, 0]);
  return emit(swapPairOp, [x, order], { axis: toAxis(axis, x.shape.length) });
}
