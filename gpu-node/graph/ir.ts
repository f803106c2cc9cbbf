import type { Graph } from './builder.ts';
import type { StoredTensor } from './weight-file.ts';

/** Element types of tensors in a graph, named as in onnxruntime's JavaScript API. */
export type DType = 'float32' | 'float16' | 'int64' | 'int32' | 'int8' | 'uint8' | 'bool';

/**
 * One dimension: a size, or a symbol whose size is known when the graph runs.
 * A symbol may be a product such as `8*batch*seq`, which `reshape` makes; `shapes.ts` describes the normal form.
 */
export type Dim = number | string;
export type Shape = readonly Dim[];

export interface TensorType {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Elements of a constant: numbers for every type (int64 is limited to safe integers), written little-endian. */
export type ConstantData = Float32Array | Int32Array | Uint8Array | Int8Array | readonly number[];

/** Origin of a value. */
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
 * An attribute of a node. A plain number is an ONNX INT; `float(x)` makes a FLOAT. `{ known }` is not written to ONNX: it tells the shape
 * rule and the gradient a value that ONNX passes as an input tensor (target shapes, axes).
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

/** The view that a gradient rule has of the node it differentiates. */
export interface GradientContext<A extends Attributes = Attributes> {
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly attributes: A;
  /** Gradient of the loss by each output; undefined if the loss does not depend on that output. */
  readonly grads: readonly (Value | undefined)[];
  /** Gradient by the first output, for the many operators that have only one. */
  readonly grad: Value;
  /** True if the gradient of input `i` is needed. A rule adds nodes only for such inputs. */
  needs(i: number): boolean;
}

/**
 * Gradient by each input, `undefined` where it is not needed or does not exist. A gradient may have the broadcast shape of the output:
 * `backward.ts` sums it to the input's shape.
 */
export type GradientRule<A extends Attributes = Attributes> = (
  context: GradientContext<A>,
) => readonly (Value | undefined)[];

/** A small case of an operator, for the tests that walk the op table. */
export interface Sample {
  readonly name?: string;
  readonly inputs: readonly SampleInput[];
  /** Sizes of the symbols in the inputs' shapes. */
  readonly sizes?: Readonly<Record<string, number>>;
  build(...inputs: Value[]): Value | readonly Value[];
}

export interface SampleInput extends TensorType {
  /** Interval of random values, by default [-1, 1], with integers for integer types. */
  readonly range?: readonly [number, number];
  /** Explicit elements instead of random ones. */
  readonly values?: readonly number[];
}

/** One operator: its ONNX name, shape rule, gradient and samples. Each has a file in `ops/`. */
export interface Op<A extends Attributes = Attributes> {
  readonly type: string;
  readonly domain?: 'com.microsoft';
  /** Types of the outputs. @throws {ShapeError} naming the operand that does not fit. */
  infer(inputs: readonly Value[], attributes: A): readonly TensorType[];
  readonly gradient: GradientRule<A> | { readonly none: string };
  readonly samples: readonly [Sample, ...Sample[]];
}
