import type { Shape, Value } from '../graph/ir.ts';
import { formatShape, product, reject, sameShape } from '../graph/shapes.ts';
import { defineOp, emit } from './op.ts';
import { shapeTensor } from './shape.ts';

type ReshapeAttributes = { readonly target: { readonly known: Shape } };

export const reshapeOp = defineOp<ReshapeAttributes>({
  type: 'Reshape',
  infer: ([x], { target }) => {
    if (product(x!.shape) !== product(target.known)) {
      reject(0, x!, `it does not have as many elements as ${formatShape(target.known)}`);
    }
    return [{ dtype: x!.dtype, shape: target.known }];
  },
  gradient: ({ grad, inputs }) => [reshape(grad, inputs[0]!.shape)],
  samples: [
    {
      name: 'joins and splits axes',
      inputs: [{ dtype: 'float32', shape: ['batch', 'seq', 4] }],
      sizes: { batch: 2, seq: 3 },
      build: (x) => reshape(x!, ['batch', 'seq', 2, 2]),
    },
    {
      name: 'joins two symbols',
      inputs: [{ dtype: 'float32', shape: ['batch', 'seq', 4] }],
      sizes: { batch: 2, seq: 3 },
      build: (x) => reshape(x!, ['batch*seq', 4]),
    },
  ],
});

/**
 * The same elements in another shape; symbols may be multiplied, as in `['batch*seq', 384]`. A reshape of a reshape becomes one reshape, or
 * none.
 */
export function reshape(x: Value, shape: Shape): Value {
  const target = shape.map((dim) => product([dim]));
  if (sameShape(x.shape, target)) return x;
  const { source } = x;
  if (source.kind === 'node' && source.node.op.type === reshapeOp.type)
    return reshape(source.node.inputs[0]!, target);
  return emit(reshapeOp, [x, targetTensor(x, target)], { target: { known: target } });
}

/** The target shape for ONNX. ONNX copies a size from the input for 0 and computes one for -1, so most shapes are constants. */
function targetTensor(x: Value, target: Shape): Value {
  const unknown = target.filter((dim, i) => typeof dim !== 'number' && dim !== x.shape[i]);
  if (unknown.length > 1 || target.includes(0)) return shapeTensor(x.graph, target);
  const sizes = target.map((dim, i) => (typeof dim === 'number' ? dim : dim === x.shape[i] ? 0 : -1));
  return x.graph.constant('int64', [sizes.length], sizes);
}
