import type { Graph } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
import type { StoredTensor, WeightFile, WeightSource } from '../graph/weight-file.ts';

/**
 * The purpose of a base model's tensor, which decides how a precision stores it: the `matrix` `[out, in]` of a linear layer over tokens;
 * the matrix of one over pooled texts; a `table` of embeddings `[rows, width]`, which is only looked up; or any other.
 */
export type WeightRole = 'matrix' | 'pooled-matrix' | 'table' | 'plain';

/** A tensor that an architecture needs from `model.safetensors`. */
export interface WeightSpec {
  /** Its name in transformers' classification model, e.g. `bert.encoder.layer.0.output.dense.weight`. */
  readonly name: string;
  /** Other names that files give it. */
  readonly aliases: readonly string[];
  /** Shape in the file. */
  readonly shape: readonly number[];
  readonly role: WeightRole;
  /** True if a file may lack it, e.g. the pooler in files of models that pool otherwise. */
  readonly optional: boolean;
}

/** A frozen linear layer in a graph, whatever its precision; W is `[in, out]` here. */
export interface FrozenLinear {
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Bias, float32 `[out]`. */
  readonly bias: Value;
  /** x·W + b over the last axis: `[.., in]` to `[.., out]`. */
  apply(x: Value): Value;
  /** x·W + b + low·up, with a pair of factors for each row: x `[batch, tokens, in]`, low `[batch, tokens, r]`, up `[batch, r, out]`. */
  applyWithChange(x: Value, low: Value, up: Value): Value;
  /** W itself, float32 `[in, out]`. */
  matrix(): Value;
}

/** The frozen tensors of a base model, for use in graphs. Names are those of the weight specifications. */
export interface BaseWeights {
  /** The tensors of the weight file. */
  readonly tensors: Readonly<Record<string, StoredTensor>>;
  /** A tensor of the role `plain`. */
  plain(graph: Graph, name: string): Value;
  /** The linear layer whose tensors are `<name>.weight` and `<name>.bias`. */
  linear(graph: Graph, name: string): FrozenLinear;
  /** Rows of a table by their numbers: float32 `[..ids, width]`. */
  rows(table: string, ids: Value): Value;
}

/** Rule by which a precision quantizes the input of a linear layer: real = scale * (stored - zero point). */
export interface InputRange {
  readonly scale: number;
  /** Integer from 0 to 255. */
  readonly zeroPoint: number;
}

/** Input ranges of linear layers by name. */
export type InputRanges = ReadonlyMap<string, InputRange>;

/** A precision of the frozen base model: the content of the weight file, and the way in which graphs compute with it. */
export interface Precision {
  /** Part of the weight file's name, so that files of another layout are not read. */
  readonly layout: string;
  /** True if `store` needs input ranges, which take a calibration of the base model. */
  readonly calibrated: boolean;
  /** The stored tensors for one tensor of `model.safetensors`, without their elements. */
  stored(spec: WeightSpec): readonly Omit<WeightSource, 'data'>[];
  /** The elements of those tensors, in the same order. `data` is the file's tensor, row-major in its shape. */
  store(spec: WeightSpec, data: Float32Array, ranges: InputRanges): readonly WeightSource['data'][];
  open(file: WeightFile): Promise<BaseWeights>;
}
