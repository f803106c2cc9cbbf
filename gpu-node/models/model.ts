import type { Family } from '../../shared/families.ts';
import type { BasePrecision, Pooling } from '../../shared/peft-config.ts';
import type { Tokenizer } from '../data/tokenizer.ts';
import type { Value } from '../graph/ir.ts';
import type { BaseWeights, WeightSpec } from '../precision/precision.ts';
import type { LinearLayer, Sites } from './sites.ts';

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

/** A linear layer of a classification head. */
export interface HeadLayer {
  /** Its dotted module name in transformers' classification model. */
  readonly name: string;
  readonly inFeatures: number;
  readonly outFeatures: number | 'labels';
}

/** What makes logits of a pooled text. It is trained as a whole with every method, so that an adapter brings its own. */
export interface Head {
  /** From the pooled text to the logits. */
  readonly layers: readonly HeadLayer[];
  /** What stands between two of them. */
  activation(x: Value): Value;
  /** Standard deviation of the weights that training starts with, `initializer_range` of config.json; biases start at 0. */
  readonly initialDeviation: number;
}

/** A base model's architecture with its sizes: what its config.json comes to. */
export interface Architecture {
  /** `model_type` of its config.json. */
  readonly type: string;
  /** The class of transformers that classifies with it. */
  readonly classifierClass: string;
  readonly family: Family;
  readonly hiddenSize: number;
  /** Width within a feed-forward network. */
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly vocabSize: number;
  /** The name of the table that its words' embeddings are rows of. */
  readonly words: string;
  /** Most tokens a text may have, special tokens included. */
  readonly maxLength: number;
  readonly head: Head;
  readonly weights: readonly WeightSpec[];
  /** Every linear layer that a method may change under the given pooling, in the order of the forward pass. */
  linears(pooling: Pooling): readonly LinearLayer[];
  /** The names of its norms, each `[hidden]`, in the order of the forward pass. */
  readonly norms: readonly string[];
  /** Last hidden states, float32, in the inputs' layout. */
  encode(weights: BaseWeights, inputs: EncoderInputs, sites: Sites): Value;
  /** What the head reads: one vector a row, float32 `[batch, hidden]`, from the last hidden states. */
  pool(pooling: Pooling, hidden: Value, weights: BaseWeights, inputs: EncoderInputs, sites: Sites): Value;
}

/** An architecture and the file that holds its weights. */
export interface BaseModel {
  readonly architecture: Architecture;
  readonly precision: BasePrecision;
  readonly weights: BaseWeights;
  /** The folder that `Session.create` maps weights from. */
  readonly weightsFolder: string;
  /** Poolings that its weights allow: `cls` needs a pooler. */
  readonly poolings: readonly Pooling[];
  /** Reads what turns texts into its tokens. @throws AppError naming the field of tokenizer.json that does not fit */
  loadTokenizer(): Promise<Tokenizer>;
}
