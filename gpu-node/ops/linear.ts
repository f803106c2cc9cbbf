import type { Value } from '../graph/ir.ts';
import { add } from './add.ts';
import { asMatrix, matMul } from './mat-mul.ts';
import { reshape } from './reshape.ts';

/**
 * `x * weight + bias` over the last axis: x [.., in], weight [in, out], bias [out] give [.., out]. The leading axes are joined for the
 * product, because onnxruntime's CPU optimizer fuses MatMul and Add into one Gemm only for matrices.
 */
export function linear(x: Value, weight: Value, bias: Value): Value {
  const y = add(matMul(asMatrix(x), weight), bias);
  return reshape(y, [...x.shape.slice(0, -1), weight.shape.at(-1)!]);
}
