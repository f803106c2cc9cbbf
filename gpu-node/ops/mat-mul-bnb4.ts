import type { TensorType, Value } from '../graph/ir.ts';
import { elementCount, formatShape, reject, requireDType, sameShape } from '../graph/shapes.ts';
import { matMul } from './mat-mul.ts';
import { defineOp, emit } from './op.ts';
import { reshape } from './reshape.ts';

/** Elements that share a scale. */
export const NF4_BLOCK = 64;
/** The operator's number for NF4; 0 is FP4. */
const NF4 = 1;

/**
 * A matrix `[out, in]` in NF4, packed as bitsandbytes writes it and onnxruntime reads it. The elements go row by row in blocks of 64. A
 * block need not end with a row; the last block may be short.
 */
export interface Nf4Matrix {
  /** uint8 `[ceil(out * in / 2)]`: two codes per byte, the earlier one in the high nibble. */
  readonly codes: Value;
  /** float32 `[ceil(out * in / 64)]`: the factor of each block's codes. */
  readonly absmax: Value;
  readonly outFeatures: number;
  readonly inFeatures: number;
}

type MatMulBnb4Attributes = {
  readonly K: number;
  readonly N: number;
  readonly block_size: typeof NF4_BLOCK;
  readonly quant_type: typeof NF4;
};

function infer(inputs: readonly Value[], { K, N }: MatMulBnb4Attributes): readonly TensorType[] {
  const [x, codes, absmax] = inputs as [Value, Value, Value];
  requireDType(0, x, ['float32']);
  if (x.shape.at(-1) !== K) reject(0, x, `its last axis must be ${K}, the matrix is [${N}, ${K}]`);
  requireDType(1, codes, ['uint8']);
  requireLength(1, codes, Math.ceil((N * K) / 2));
  requireDType(2, absmax, ['float32']);
  requireLength(2, absmax, Math.ceil((N * K) / NF4_BLOCK));
  return [{ dtype: 'float32', shape: [...x.shape.slice(0, -1), N] }];
}

function requireLength(index: number, value: Value, length: number): void {
  if (!sameShape(value.shape, [length])) reject(index, value, `its shape must be ${formatShape([length])}`);
}

/** A sample of a matrix `[out, in]` with arbitrary codes. */
const sample = (name: string, rows: readonly (number | string)[], out: number, inFeatures: number) => ({
  name,
  inputs: [{ dtype: 'float32' as const, shape: [...rows, inFeatures] }],
  sizes: { batch: 2 },
  build: (x: Value | undefined) => matMulBnb4(x!, anyMatrix(x!, out, inFeatures)),
});

function anyMatrix({ graph }: Value, outFeatures: number, inFeatures: number): Nf4Matrix {
  const count = outFeatures * inFeatures;
  const bytes = Array.from({ length: Math.ceil(count / 2) }, (_, i) => (i * 73) % 256);
  const scales = Array.from({ length: Math.ceil(count / NF4_BLOCK) }, (_, i) => 0.5 + i / 4);
  return {
    codes: graph.constant('uint8', [bytes.length], bytes),
    absmax: graph.constant('float32', [scales.length], scales),
    outFeatures,
    inFeatures,
  };
}

export const matMulBnb4Op = defineOp<MatMulBnb4Attributes>({
  type: 'MatMulBnb4',
  domain: 'com.microsoft',
  infer,
  gradient: ({ inputs: [, codes, absmax], attributes: { N, K }, grad }) => [
    matMul(grad, dequantize({ codes: codes!, absmax: absmax!, outFeatures: N, inFeatures: K })),
  ],
  samples: [
    sample('a block to a row', ['batch', 3], 2, 64),
    sample('blocks that span rows', ['batch'], 6, 32),
    sample('a last block that is short, and odd', ['batch'], 5, 15),
  ],
});

/** x·Wᵀ over the last axis, `[.., in]` to `[.., out]`. */
export function matMulBnb4(x: Value, { codes, absmax, outFeatures, inFeatures }: Nf4Matrix): Value {
  const attributes = { K: inFeatures, N: outFeatures, block_size: NF4_BLOCK, quant_type: NF4 } as const;
  return emit(matMulBnb4Op, [x, codes, absmax], attributes);
}

/**
 * W itself, float32 `[out, in]`, bit for bit. onnxruntime has no operator that only unpacks, so 1 is multiplied with all elements as one
 * column. The result is not folded into a constant, so W is in memory only while something needs it.
 */
export function dequantize(matrix: Nf4Matrix): Value {
  const { codes, outFeatures, inFeatures } = matrix;
  const shape = [outFeatures, inFeatures];
  const one = codes.graph.constant('float32', [1, 1], [1]);
  const elements = matMulBnb4(one, { ...matrix, outFeatures: elementCount(shape), inFeatures: 1 });
  return reshape(elements, shape);
}
