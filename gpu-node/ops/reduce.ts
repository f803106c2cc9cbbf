import type { Shape, TensorType, Value } from '../graph/ir.ts';
import { toAxis } from '../graph/shapes.ts';
import { reshape } from './reshape.ts';

export type ReduceAttributes = {
  readonly keepdims: 0 | 1;
  readonly axes: { readonly known: readonly number[] };
};

export interface ReduceOptions {
  /** True (default) keeps a reduced axis as one of size 1; false drops it. */
  readonly keepDims?: boolean;
}

/** Shape rule of the reductions. */
export function inferReduction(
  inputs: readonly Value[],
  attributes: ReduceAttributes,
): readonly TensorType[] {
  const x = inputs[0]!;
  const kept = withKeptAxes(x.shape, attributes.axes.known);
  const axes = attributes.axes.known.map((axis) => toAxis(axis, x.shape.length));
  return [{ dtype: x.dtype, shape: attributes.keepdims ? kept : kept.filter((_, i) => !axes.includes(i)) }];
}

/** Reshapes a reduction's gradient or result so that it broadcasts against the input. */
export function restoreAxes(reduced: Value, input: Value, attributes: ReduceAttributes): Value {
  return reshape(reduced, withKeptAxes(input.shape, attributes.axes.known));
}

/** Operands and attributes of a reduction; ONNX takes the axes as an int64 tensor. */
export function reduction(x: Value, axes: readonly number[], { keepDims = true }: ReduceOptions = {}) {
  const sorted = axes.map((axis) => toAxis(axis, x.shape.length)).sort((a, b) => a - b);
  const inputs = [x, x.graph.constant('int64', [sorted.length], sorted)];
  const attributes: ReduceAttributes = { keepdims: keepDims ? 1 : 0, axes: { known: sorted } };
  return { inputs, attributes };
}

function withKeptAxes(shape: Shape, axes: readonly number[]): Shape {
  const reduced = axes.map((axis) => toAxis(axis, shape.length));
  return shape.map((dim, i) => (reduced.includes(i) ? 1 : dim));
}
