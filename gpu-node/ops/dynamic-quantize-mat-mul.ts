import type { TensorType, Value } from '../graph/ir.ts';
import { reject, requireDType, sameShape } from '../graph/shapes.ts';
import { defineOp, emit } from './op.ts';

function infer(inputs: readonly Value[]): readonly TensorType[] {
  const [a, b, bScale] = inputs as [Value, Value, Value];
  requireDType(0, a, ['float32']);
  requireDType(1, b, ['int8']);
  requireDType(2, bScale, ['float32']);
  if (b.shape.length !== 2) reject(1, b, 'it must be a matrix');
  if (a.shape.at(-1) !== b.shape[0])
    reject(1, b, `its first axis must be ${a.shape.at(-1)}, the last of operand 0`);
  if (!sameShape(bScale.shape, [b.shape[1]!])) reject(2, bScale, `its shape must be [${b.shape[1]}]`);
  return [{ dtype: 'float32', shape: [...a.shape.slice(0, -1), b.shape[1]!] }];
}

export const dynamicQuantizeMatMulOp = defineOp({
  type: 'DynamicQuantizeMatMul',
  domain: 'com.microsoft',
  infer,
  gradient: { none: 'it rounds its first operand and the second is integers' },
  samples: [
    {
      inputs: [{ dtype: 'float32', shape: ['batch', 2, 4], range: [-2, 2] }],
      sizes: { batch: 3 },
      build: (a) =>
        dynamicQuantizeMatMul(
          a!,
          a!.graph.constant('int8', [4, 2], [1, -2, 3, -4, 5, -6, 7, -127]),
          a!.graph.constant('float32', [2], [0.1, 0.2]),
        ),
    },
  ],
});

/**
 * `a` `[.., k]` times the int8 matrix `b` `[k, n]`, which has one scale per column, float32 `[n]`. `a` is rounded to 8 bits over the range
 * of its own elements, all rows together, so a row's result depends on the others.
 */
export function dynamicQuantizeMatMul(a: Value, b: Value, bScale: Value): Value {
  return emit(dynamicQuantizeMatMulOp, [a, b, bScale], {});
}
