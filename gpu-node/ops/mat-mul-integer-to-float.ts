import type { Op, TensorType, Value } from '../graph/ir.ts';
import { reject, requireDType, sameShape } from '../graph/shapes.ts';
import { defineOp, emit } from './op.ts';

/** Operands of `matMulIntegerToFloat`; real numbers are `scale * (stored - zero point)`. */
export interface IntegerProduct {
  /** uint8 `[.., k]`, with one scale and zero point for all of it. */
  readonly a: Value;
  readonly aScale: Value;
  readonly aZeroPoint: Value;
  /** int8 `[k, n]` with zero point 0 and one scale per column, float32 `[n]`. */
  readonly b: Value;
  readonly bScale: Value;
  /** Bias, float32 `[n]`. */
  readonly bias: Value;
}

function infer(inputs: readonly Value[]): readonly TensorType[] {
  const [a, b, aScale, bScale, aZeroPoint, bZeroPoint, bias] = inputs as Value[] as [
    Value,
    Value,
    Value,
    Value,
    Value,
    Value,
    Value,
  ];
  requireDType(0, a, ['uint8']);
  requireDType(1, b, ['int8']);
  requireDType(4, aZeroPoint, ['uint8']);
  requireDType(5, bZeroPoint, ['int8']);
  if (b.shape.length !== 2) reject(1, b, 'it must be a matrix');
  if (a.shape.at(-1) !== b.shape[0])
    reject(1, b, `its first axis must be ${a.shape.at(-1)}, the last of operand 0`);
  for (const [i, scalar] of [
    [2, aScale],
    [4, aZeroPoint],
    [5, bZeroPoint],
  ] as const) {
    if (scalar.shape.length !== 0) reject(i, scalar, 'it must be a scalar');
  }
  for (const [i, row] of [
    [3, bScale],
    [6, bias],
  ] as const) {
    requireDType(i, row, ['float32']);
    if (!sameShape(row.shape, [b.shape[1]!])) reject(i, row, `its shape must be [${b.shape[1]}]`);
  }
  return [{ dtype: 'float32', shape: [...a.shape.slice(0, -1), b.shape[1]!] }];
}

export const matMulIntegerToFloatOp = defineOp({
  type: 'MatMulIntegerToFloat',
  domain: 'com.microsoft',
  infer,
  gradient: { none: 'its operands are integers; each use says what stands for it' },
  samples: [
    {
      inputs: [{ dtype: 'uint8', shape: ['batch', 2, 4], range: [0, 255] }],
      sizes: { batch: 3 },
      build: (a) => {
        const { graph } = a!;
        const product = {
          a: a!,
          aScale: graph.scalar(0.02),
          aZeroPoint: graph.scalar(100, 'uint8'),
          b: graph.constant('int8', [4, 2], [1, -2, 3, -4, 5, -6, 7, -127]),
          bScale: graph.constant('float32', [2], [0.1, 0.2]),
          bias: graph.constant('float32', [2], [1, -1]),
        };
        return matMulIntegerToFloat(product, (grad) => grad);
      },
    },
  ],
});

/** Maps the gradient by the result to the gradient by the real numbers that `a` stands for. */
export type WayBack = (grad: Value) => Value;

/** The operator of each way back. Equal products with the same way back are then one node. */
const operators = new WeakMap<WayBack, Op>();

function operatorOf(backward: WayBack): Op {
  const op = operators.get(backward) ?? {
    ...matMulIntegerToFloatOp,
    gradient: ({ grad }) => [backward(grad)],
  };
  operators.set(backward, op);
  return op;
}

/**
 * The product of the real numbers that `a` and `b` stand for, plus the bias: float32 `[.., n]`. Products and sums are exact integers.
 * @param backward computes the gradient; the caller chooses the matrix that it multiplies by
 */
export function matMulIntegerToFloat(
  { a, b, aScale, bScale, aZeroPoint, bias }: IntegerProduct,
  backward: WayBack,
): Value {
  const bZeroPoint = a.graph.scalar(0, 'int8');
  return emit(operatorOf(backward), [a, b, aScale, bScale, aZeroPoint, bZeroPoint, bias], {});
}
