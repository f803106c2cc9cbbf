import type { Graph } from './builder.ts';
import type { StoredTensor } from './weight-file.ts';

/** Element types a graph may hold; names as in onnxruntime's JavaScript API. */
export type DType = 'float32' | 'float16' | 'int64' | 'int32' | 'int8' | 'uint8' | 'bool';

/**
 * One dimension: a size, or a symbol whose size is known when the graph runs.
 * A symbol may be a product (`8*batch*seq`) as `reshape` makes; see `shapes.ts` for the normal form.
 */
export type Dim = number | string;
export type Shape = readonly Dim[];

export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Elements of a constant: numbers for every type (int64 is limited to safe integers), written little-endian. */
export type ConstantData = Float32Array | Int32Array | Uint8Array | Int8Array | readonly number[];

/** Where a value comes from. */
export type Source =
  | { readonly kind: 'input' }
  | { readonly kind: 'constant'; readonly data: Uint8Array }
  | { readonly kind: 'weight'; readonly tensor: StoredTensor }
  | { readonly kind: 'node'; readonly node: Node; readonly output: number };

/** A tensor in a graph. Values are made by `Graph` and the functions of `ops/`, never by hand. */
export interface Value extends TensorType {
  readonly graph: Graph;
  /** Position in the graph's order of creation; an input of a node always has a smaller id than its outputs. */
  readonly id: number;
  readonly name: string;
  readonly source: Source;
}

export interface Node {
  readonly name: string;
  readonly op: Op;
  readonly attributes: Attributes;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

/**
 * A plain number is an ONNX INT; `float(x)` makes a FLOAT. `{ known }` is not written to ONNX: it tells the
 * shape rule and the gradient what ONNX passes as an input tensor (target shapes, axes).
 */
export type Attribute =
  | number
  | string
  | readonly number[]
  | { readonly float: number }
  | { readonly known: Shape };
export type Attributes = Readonly<Record<string, Attribute | undefined>>;

/** Marks a number as an ONNX FLOAT attribute (a bare number is an INT). */
export function float(value: number): { readonly float: number } {
  return { float: value };
}

/** What a gradient rule sees of the node it differentiates. */
export interface GradientContext<A extends Attributes = Attributes> {
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attributes: A;
  /** Gradient of the loss by each output; undefined where the loss does not depend on that output. */
  readonly grads: readonly (Value | undefined)[];
  /** Gradient by the first output, for the many operators that have one. */
  readonly grad: Value;
  /** Whether anyone wants the gradient of input `i`. A rule emits nodes only for inputs that are needed. */
  needs(i: number): boolean;
}

/**
 * Gradient by each input, `undefined` where not needed or not differentiable. A gradient may have the
 * broadcast shape of the output: `backward.ts` sums it to the input's shape.
 */
export type GradientRule<A extends Attributes = Attributes> = (
  context: GradientContext<A>,
) => readonly (Value | undefined)[];

/** A small case of an operator, for the tests that walk the op table. */
export interface Sample {
  readonly name?: string;
  readonly inputs: readonly SampleInput[];
  /** Sizes of the symbols the inputs' shapes mention. */
  readonly sizes?: Readonly<Record<string, number>>;
  build(...inputs: Value[]): Value | readonly Value[];
}

export interface SampleInput extends TensorType {
  /** Random values are drawn from this interval (default [-1, 1], integers for integer types). */
  readonly range?: readonly [number, number];
  /** Explicit elements instead of random ones. */
  readonly values?: readonly number[];
}

/** One operator: its ONNX name, shape rule, gradient and samples. One file in `ops/` each. */
export interface Op<A extends Attributes = Attributes> {
  readonly type: string;
  readonly domain?: 'com.microsoft';
  /** Types of the outputs. @throws {ShapeError} naming the operand that does not fit. */
  infer(inputs: readonly Value[], attributes: A): readonly TensorType[];
  readonly gradient: GradientRule<A> | { readonly none: string };
  readonly samples: readonly [Sample, ...Sample[]];
}
