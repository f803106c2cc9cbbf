import type { TensorType, Value } from '../graph/ir.ts';
import { reject, requireDType } from '../graph/shapes.ts';
import { matMul } from './mat-mul.ts';
import { matMulIntegerToFloat } from './mat-mul-integer-to-float.ts';
import { defineOp, emit } from './op.ts';

function infer(inputs: readonly Value[]): readonly TensorType[] {
  const [x, scale, zeroPoint] = inputs as [Value, Value, Value];
  requireDType(0, x, ['float32']);
  requireDType(1, scale, ['float32']);
  requireDType(2, zeroPoint, ['uint8']);
  for (const [i, value] of [scale, zeroPoint].entries()) {
    if (value.shape.length !== 0) reject(i + 1, value, 'it must be a scalar');
  }
  return [{ dtype: 'uint8', shape: x.shape }];
}

export const quantizeLinearOp = defineOp({
  type: 'QuantizeLinear',
  infer,
  gradient: ({ grad }) => [grad],
  samples: [
    {
      name: 'what a product makes of it',
      inputs: [{ dtype: 'float32', shape: ['batch', 2], values: [-0.4, 0.3, 0.7, -0.9, 0.05, 0] }],
      sizes: { batch: 3 },
      build: (x) => throughProduct(x!),
    },
  ],
});

/**
 * `x / scale + zeroPoint`, rounded to even and cut to [0, 255]: uint8 of x's shape. `scale` float32 and `zeroPoint` uint8 are scalars.
 * The gradient is by the real numbers that the integers stand for, and is passed straight through (Bengio et al. 2013, arXiv:1308.3432),
 * because rounding itself is constant almost everywhere.
 */
export function quantizeLinear(x: Value, scale: Value, zeroPoint: Value): Value {
  return emit(quantizeLinearOp, [x, scale, zeroPoint], {});
}

/** Quantizes x and multiplies it by a matrix; multiples of the scale lose nothing by rounding. */
function throughProduct(x: Value): Value {
  const { graph } = x;
  const matrix = [3, -1, 2, 5];
  const scale = graph.scalar(0.01);
  const zeroPoint = graph.scalar(128, 'uint8');
  const product = {
    a: quantizeLinear(x, scale, zeroPoint),
    aScale: scale,
    aZeroPoint: zeroPoint,
    b: graph.constant('int8', [2, 2], matrix),
    bScale: graph.constant('float32', [2], [1, 1]),
    bias: graph.constant('float32', [2], [0, 0]),
  };
  const transposed = graph.constant('float32', [2, 2], [3, 2, -1, 5]);
  return matMulIntegerToFloat(product, (grad) => matMul(grad, transposed));
}
