import type { Value } from '../graph/ir.ts';
import type { StoredTensor, WeightSource } from '../graph/weight-file.ts';
import { cast, gather, mul, unsqueeze } from '../ops/index.ts';
import type { WeightSpec } from './precision.ts';

/** Largest magnitude of a stored element. */
const LEVELS = 127;

const rowsOf = (name: string) => `${name}.rows`;
const scalesOf = (name: string) => `${name}.scales`;

/**
 * The stored form of a table of embeddings: int8 rows with a float32 scale each. It takes a quarter of the size, with an error of at most
 * 1/254 of a row's largest element.
 */
export function storedTable({ name, shape }: WeightSpec): readonly Omit<WeightSource, 'data'>[] {
  return [
    { name: rowsOf(name), dtype: 'int8', shape },
    { name: scalesOf(name), dtype: 'float32', shape: [shape[0]!] },
  ];
}

/** The elements of the tensors that `storedTable` names. */
export function quantizeTable({ shape }: WeightSpec, data: Float32Array): [Int8Array, Float32Array] {
  const [count, width] = shape as readonly [number, number];
  const rows = new Int8Array(data.length);
  const scales = new Float32Array(count);
  for (let row = 0; row < count; row++) {
    const elements = data.subarray(row * width, (row + 1) * width);
    const scale = Math.fround(elements.reduce((max, x) => Math.max(max, Math.abs(x)), 0) / LEVELS) || 1;
    scales[row] = scale;
    for (let i = 0; i < width; i++) rows[row * width + i] = Math.round(elements[i]! / scale);
  }
  return [rows, scales];
}

/** Rows of a stored table, float32 `[..ids, width]`. Only the rows asked for are ever float. */
export function tableRows(tensors: Readonly<Record<string, StoredTensor>>, table: string, ids: Value): Value {
  const rows = gather(ids.graph.weight(tensors[rowsOf(table)]!), ids);
  const scales = gather(ids.graph.weight(tensors[scalesOf(table)]!), ids);
  return mul(cast(rows, 'float32'), unsqueeze(scales, [scales.shape.length]));
}
