import type { Pooling } from '../../shared/peft-config.ts';
import type { Value } from '../graph/ir.ts';
import type { StoredTensor } from '../graph/weight-file.ts';
import { linear } from '../ops/index.ts';

/** A linear layer that a PEFT method may wrap; `name` is its dotted module name in transformers' classification model. */
export interface LinearLayer {
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** A linear layer being built: x is `[.., .., in]` in the encoder's layout or `[batch, in]`, the weight `[in, out]` (stored transposed), the bias `[out]`. */
export interface LinearCall {
  readonly layer: LinearLayer;
  readonly x: Value;
  readonly weight: Value;
  readonly bias: Value;
}

/** Builds the output `[..., out]` of a linear layer: the plain one, or what a PEFT method makes of it. */
export type LinearHook = (call: LinearCall) => Value;

/** Wx + b. */
export const plainLinear: LinearHook = ({ x, weight, bias }) => linear(x, weight, bias);

/**
 * How hidden states lie: `seq-first` is `[seq, batch, hidden]`, `batch-first` `[batch, seq, hidden]`. Training puts tokens first, because
 * onnxruntime's CPU optimizer fuses the transposes of attention heads into the products then: a third of a step's transposes are left.
 * Serving puts rows first, because each row meets an adapter of its own: a mixed batch takes 3 % less, at any rank.
 */
export type HiddenLayout = 'seq-first' | 'batch-first';

/** Graph inputs of an encoder over `[batch, seq]` tokens. */
export interface EncoderInputs {
  /** Of the hidden states that are computed from them. */
  readonly layout: HiddenLayout;
  /** int32 `[batch, seq]`. */
  readonly inputIds: Value;
  /** int32 `[batch, seq]`. */
  readonly tokenTypeIds: Value;
  /** int32 `[seq]`. */
  readonly positionIds: Value;
  /** float32 `[batch, seq]`: 1 for a token, 0 for padding. */
  readonly attentionMask: Value;
}

/** A tensor an architecture needs from `model.safetensors`. */
export interface WeightSpec {
  /** Its name in transformers' classification model, e.g. `bert.encoder.layer.0.output.dense.weight`. */
  readonly name: string;
  /** Other names that files give it. */
  readonly aliases: readonly string[];
  /** Its shape in the file. */
  readonly shape: readonly number[];
  /** Whether the weight file holds it transposed, as `[in, out]`, so that the forward pass is a plain MatMul. */
  readonly transposed: boolean;
  /** Whether a file may lack it: a pooler, in files of models that pool otherwise. */
  readonly optional: boolean;
}

/** A base model's architecture with its sizes: what its config.json comes to. */
export interface Architecture {
  readonly type: string;
  readonly hiddenSize: number;
  readonly layers: number;
  readonly vocabSize: number;
  /** Most tokens a text may have, special tokens included. */
  readonly maxLength: number;
  readonly weights: readonly WeightSpec[];
  /** Every linear layer that a method may wrap under the given pooling, in the order of the forward pass. */
  linears(pooling: Pooling): readonly LinearLayer[];
  /** Last hidden states, float32, in the inputs' layout. */
  encode(weights: BaseWeights, inputs: EncoderInputs, linear: LinearHook): Value;
  /** One vector a row, float32 `[batch, hidden]`, from the last hidden states. */
  pool(
    pooling: Pooling,
    hidden: Value,
    weights: BaseWeights,
    inputs: EncoderInputs,
    linear: LinearHook,
  ): Value;
}

/** The tensors of a weight file by name, as `openBaseModel` hands them out. */
export type BaseWeights = Readonly<Record<string, StoredTensor>>;

/** An architecture and the file that holds its weights. */
export interface BaseModel {
  readonly architecture: Architecture;
  readonly weights: BaseWeights;
  /** The folder that `Session.create` maps weights from. */
  readonly weightsFolder: string;
  /** Poolings that its weights allow: `cls` needs a pooler. */
  readonly poolings: readonly Pooling[];
}
