import { z } from 'zod';
import { MAX_SEQUENCE_LENGTH } from '../../shared/peft-config.ts';
import type { Value } from '../graph/ir.ts';
import {
  add,
  div,
  gather,
  gelu,
  layerNormalization,
  matMul,
  mul,
  reduceSum,
  reshape,
  slice,
  softmax,
  sub,
  swapLastAxes,
  tanh,
  transpose,
  unsqueeze,
} from '../ops/index.ts';
import type { BaseWeights, WeightRole, WeightSpec } from '../precision/precision.ts';
import type { Architecture, EncoderInputs, HiddenLayout, LinearHook, LinearLayer } from './model.ts';

/** What of a BERT's config.json decides the computation; bounds keep a crafted file from asking for absurd graphs. */
const bertConfig = z.object({
  model_type: z.literal('bert'),
  vocab_size: z.int().min(1).max(2_000_000),
  hidden_size: z.int().min(1).max(16_384),
  num_hidden_layers: z.int().min(1).max(256),
  num_attention_heads: z.int().min(1).max(256),
  intermediate_size: z.int().min(1).max(65_536),
  max_position_embeddings: z.int().min(8).max(65_536),
  type_vocab_size: z.int().min(1).max(1024),
  hidden_act: z.literal('gelu'),
  layer_norm_eps: z.number().positive().max(0.1),
  position_embedding_type: z.literal('absolute').default('absolute'),
  is_decoder: z.literal(false).default(false),
  add_cross_attention: z.literal(false).default(false),
});
type BertConfig = z.infer<typeof bertConfig>;

const bertShape = bertConfig.refine((c) => c.hidden_size % c.num_attention_heads === 0, {
  path: ['num_attention_heads'],
  message: 'must divide hidden_size',
});

/** Where the layouts differ: the axis of tokens, from `[batch, seq, ..]` or back, to `[batch, heads, seq, size]`, and back. */
const AXES = {
  'seq-first': {
    seq: 0,
    swap: (x: Value) => transpose(x, x.shape.length === 2 ? [1, 0] : [1, 0, 2]),
    toHeads: [1, 2, 0, 3],
    fromHeads: [2, 0, 1, 3],
  },
  'batch-first': { seq: 1, swap: (x: Value) => x, toHeads: [0, 2, 1, 3], fromHeads: [0, 2, 1, 3] },
} as const satisfies Record<HiddenLayout, object>;

/** Score added to padding before the softmax: far enough below any real score to leave it a weight of exactly 0. */
const MASKED = 1e9;

/**
 * BERT (Devlin et al. 2018, arXiv:1810.04805) as transformers' `BertForSequenceClassification` computes it in
 * evaluation mode: post-LN, exact GELU, learned positions, token types.
 * @param config the parsed config.json
 * @throws {z.ZodError} naming the field that does not fit
 */
export function bert(config: unknown): Architecture {
  const c = bertShape.parse(config);
  const layers = layerNames(c).flatMap((names) => Object.values(names));
  const pooler: LinearLayer = {
    name: 'bert.pooler.dense',
    inFeatures: c.hidden_size,
    outFeatures: c.hidden_size,
  };
  return {
    type: 'bert',
    hiddenSize: c.hidden_size,
    layers: c.num_hidden_layers,
    vocabSize: c.vocab_size,
    maxLength: Math.min(c.max_position_embeddings, MAX_SEQUENCE_LENGTH),
    weights: weightSpecs(c, layers, pooler),
    linears: (pooling) => (pooling === 'cls' ? [...layers, pooler] : layers),
    encode: (weights, inputs, linear) => encode(c, weights, inputs, linear),
    pool: (pooling, hidden, weights, inputs, linear) =>
      pooling === 'mean'
        ? meanOfTokens(hidden, inputs)
        : tanh(applyLinear(pooler, firstToken(hidden, inputs.layout), weights, linear)),
  };
}

interface LayerLinears {
  query: LinearLayer;
  key: LinearLayer;
  value: LinearLayer;
  attentionOutput: LinearLayer;
  intermediate: LinearLayer;
  output: LinearLayer;
}

const layerPath = (index: number) => `bert.encoder.layer.${index}`;

function layerNames(c: BertConfig): LayerLinears[] {
  const hidden = c.hidden_size;
  return Array.from({ length: c.num_hidden_layers }, (_, index) => {
    const linear = (suffix: string, inFeatures: number, outFeatures: number): LinearLayer => ({
      name: `${layerPath(index)}.${suffix}`,
      inFeatures,
      outFeatures,
    });
    return {
      query: linear('attention.self.query', hidden, hidden),
      key: linear('attention.self.key', hidden, hidden),
      value: linear('attention.self.value', hidden, hidden),
      attentionOutput: linear('attention.output.dense', hidden, hidden),
      intermediate: linear('intermediate.dense', hidden, c.intermediate_size),
      output: linear('output.dense', c.intermediate_size, hidden),
    };
  });
}

const WORDS = 'bert.embeddings.word_embeddings.weight';
const POSITIONS = 'bert.embeddings.position_embeddings.weight';
const TOKEN_TYPES = 'bert.embeddings.token_type_embeddings.weight';
const EMBEDDINGS_NORM = 'bert.embeddings.LayerNorm';

function weightSpecs(c: BertConfig, layers: readonly LinearLayer[], pooler: LinearLayer): WeightSpec[] {
  const spec = (name: string, shape: number[], role: WeightRole = 'plain', optional = false): WeightSpec => ({
    name,
    aliases: aliasesOf(name),
    shape,
    role,
    optional,
  });
  const linear = ({ name, inFeatures, outFeatures }: LinearLayer, role: WeightRole, optional: boolean) => [
    spec(`${name}.weight`, [outFeatures, inFeatures], role, optional),
    spec(`${name}.bias`, [outFeatures], 'plain', optional),
  ];
  const norm = (name: string) => [
    spec(`${name}.weight`, [c.hidden_size]),
    spec(`${name}.bias`, [c.hidden_size]),
  ];
  const layerNorms = Array.from({ length: c.num_hidden_layers }, (_, index) => [
    ...norm(`${layerPath(index)}.attention.output.LayerNorm`),
    ...norm(`${layerPath(index)}.output.LayerNorm`),
  ]);
  return [
    spec(WORDS, [c.vocab_size, c.hidden_size], 'table'),
    spec(POSITIONS, [c.max_position_embeddings, c.hidden_size]),
    spec(TOKEN_TYPES, [c.type_vocab_size, c.hidden_size]),
    ...norm(EMBEDDINGS_NORM),
    ...layers.flatMap((layer) => linear(layer, 'matrix', false)),
    ...layerNorms.flat(),
    ...linear(pooler, 'pooled-matrix', true),
  ];
}

/** A bare `BertModel`'s file lacks the prefix; files converted from TensorFlow call a norm's tensors gamma and beta. */
function aliasesOf(name: string): string[] {
  const legacy = name
    .replace(/LayerNorm\.weight$/, 'LayerNorm.gamma')
    .replace(/LayerNorm\.bias$/, 'LayerNorm.beta');
  const names = legacy === name ? [name] : [name, legacy];
  return [...names, ...names.map((each) => each.replace(/^bert\./, ''))].slice(1);
}

function encode(c: BertConfig, weights: BaseWeights, inputs: EncoderInputs, linear: LinearHook): Value {
  const graph = inputs.inputIds.graph;
  const mask = attentionBias(inputs.attentionMask);
  let hidden = graph.scope('embeddings', () => embed(c, weights, inputs));
  for (const [index, names] of layerNames(c).entries()) {
    hidden = graph.scope(`layer.${index}`, () =>
      encoderLayer(c, index, names, hidden, mask, inputs.layout, weights, linear),
    );
  }
  return hidden;
}

function embed(c: BertConfig, weights: BaseWeights, inputs: EncoderInputs): Value {
  const table = (name: string) => weights.plain(inputs.inputIds.graph, name);
  const { seq, swap } = AXES[inputs.layout];
  const words = weights.rows(WORDS, swap(inputs.inputIds));
  const positions = unsqueeze(gather(table(POSITIONS), inputs.positionIds), [1 - seq]);
  const types = gather(table(TOKEN_TYPES), swap(inputs.tokenTypeIds));
  return norm(EMBEDDINGS_NORM, add(add(words, types), positions), weights, c.layer_norm_eps);
}

/** 0 for a token and -1e9 for padding, float32 `[batch, 1, 1, seq]`. */
function attentionBias(mask: Value): Value {
  const [batch, seq] = mask.shape;
  return reshape(mul(sub(mask, 1), MASKED), [batch!, 1, 1, seq!]);
}

function encoderLayer(
  c: BertConfig,
  index: number,
  names: LayerLinears,
  x: Value,
  mask: Value,
  layout: HiddenLayout,
  weights: BaseWeights,
  linear: LinearHook,
): Value {
  const apply = (layer: LinearLayer, input: Value) => applyLinear(layer, input, weights, linear);
  const path = layerPath(index);
  const context = attention(
    apply(names.query, x),
    apply(names.key, x),
    apply(names.value, x),
    mask,
    c.num_attention_heads,
    layout,
  );
  const attended = add(apply(names.attentionOutput, context), x);
  const middle = norm(`${path}.attention.output.LayerNorm`, attended, weights, c.layer_norm_eps);
  const fed = apply(names.output, gelu(apply(names.intermediate, middle)));
  return norm(`${path}.output.LayerNorm`, add(fed, middle), weights, c.layer_norm_eps);
}

/** Scaled dot-product attention over queries, keys and values in a layout, written out so that it differentiates. */
function attention(
  query: Value,
  key: Value,
  value: Value,
  mask: Value,
  heads: number,
  layout: HiddenLayout,
): Value {
  const { toHeads, fromHeads } = AXES[layout];
  const [first, second, hidden] = query.shape as [string, string, number];
  const size = hidden / heads;
  const split = (x: Value) => transpose(reshape(x, [first, second, heads, size]), toHeads);
  const scores = mul(matMul(split(query), swapLastAxes(split(key))), 1 / Math.sqrt(size));
  const context = matMul(softmax(add(scores, mask)), split(value));
  return reshape(transpose(context, fromHeads), query.shape);
}

function applyLinear(layer: LinearLayer, x: Value, weights: BaseWeights, linear: LinearHook): Value {
  return linear({ layer, x, frozen: weights.linear(x.graph, layer.name) });
}

function norm(name: string, x: Value, weights: BaseWeights, epsilon: number): Value {
  const scale = weights.plain(x.graph, `${name}.weight`);
  const shift = weights.plain(x.graph, `${name}.bias`);
  return layerNormalization(x, scale, shift, epsilon);
}

/** `[batch, hidden]` of the [CLS] token. */
function firstToken(hidden: Value, layout: HiddenLayout): Value {
  const { seq } = AXES[layout];
  return reshape(slice(hidden, seq, 0, 1), [hidden.shape[1 - seq]!, hidden.shape[2]!]);
}

/** Mean over the real tokens of a row, as a product with their weights, which is one matrix product a row. */
function meanOfTokens(hidden: Value, { attentionMask, layout }: EncoderInputs): Value {
  const byRow = AXES[layout].swap(hidden);
  const [batch, seq, size] = byRow.shape;
  const share = div(attentionMask, reduceSum(attentionMask, [1]));
  return reshape(matMul(reshape(share, [batch!, 1, seq!]), byRow), [batch!, size!]);
}
