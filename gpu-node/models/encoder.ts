import type { Family, LinearKind, SublayerKind } from '../../shared/families.ts';
import type { Value } from '../graph/ir.ts';
import {
  add,
  concat,
  gather,
  gelu,
  layerNormalization,
  matMul,
  mul,
  reshape,
  softmax,
  sub,
  swapLastAxes,
  transpose,
  unsqueeze,
} from '../ops/index.ts';
import type { BaseWeights, WeightRole, WeightSpec } from '../precision/precision.ts';
import { openingOf } from './gates.ts';
import { AXES } from './layout.ts';
import type { EncoderInputs, HiddenLayout } from './model.ts';
import {
  changedLinear,
  changedNorm,
  type EmbeddingsCall,
  type KeysValues,
  type LinearCall,
  type LinearLayer,
  type Opening,
  type Sites,
  type SublayerCall,
} from './sites.ts';

/** An encoder's family and sizes. */
export interface EncoderShape {
  readonly family: Family;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly normEpsilon: number;
}

/** Score added to padding before the softmax: far enough below any real score to leave it a weight of exactly 0. */
export const MASKED = 1e9;

type LayerLinears = Readonly<Record<LinearKind, LinearLayer>>;

/**
 * The encoder that BERT and what descends from it share, as transformers computes it in evaluation mode: layers of attention and
 * feed-forward network, each followed by its norm (post-LN), with exact GELU. `embed` gives the hidden states it begins with.
 */
export function encode(
  shape: EncoderShape,
  weights: BaseWeights,
  inputs: EncoderInputs,
  sites: Sites,
  embed: () => Value,
): Value {
  const graph = inputs.inputIds.graph;
  const mask = attentionBias(inputs.attentionMask);
  const opening = openingOf(inputs, sites);
  let hidden = graph.scope('embeddings', embed);
  for (let index = 0; index < shape.layers; index++) {
    hidden = graph.scope(`layer.${index}`, () =>
      encoderLayer(shape, index, hidden, mask, inputs.layout, weights, sites, opening),
    );
  }
  return hidden;
}

/** The names of the norms of all layers, in the order of the forward pass. */
export function encoderNorms({ family, layers }: EncoderShape): string[] {
  return Array.from({ length: layers }, (_, index) => [
    `${family.layers}${index}.${family.norms.attention}`,
    `${family.layers}${index}.${family.norms.output}`,
  ]).flat();
}

/** The linear layers of all layers, in the order of the forward pass. */
export function encoderLinears(shape: EncoderShape): LinearLayer[] {
  return Array.from({ length: shape.layers }, (_, index) => Object.values(layerLinears(shape, index))).flat();
}

function layerLinears({ family, hiddenSize, intermediateSize }: EncoderShape, index: number): LayerLinears {
  const linear = (kind: LinearKind, inFeatures: number, outFeatures: number): LinearLayer => ({
    name: `${family.layers}${index}.${family.linears[kind]}`,
    inFeatures,
    outFeatures,
  });
  return {
    query: linear('query', hiddenSize, hiddenSize),
    key: linear('key', hiddenSize, hiddenSize),
    value: linear('value', hiddenSize, hiddenSize),
    attentionOutput: linear('attentionOutput', hiddenSize, hiddenSize),
    intermediate: linear('intermediate', hiddenSize, intermediateSize),
    output: linear('output', intermediateSize, hiddenSize),
  };
}

/** What the layers need of the weight file: linear layers, then norms. */
export function encoderSpecs(shape: EncoderShape): WeightSpec[] {
  const { family, hiddenSize } = shape;
  return [
    ...encoderLinears(shape).flatMap((layer) => linearSpecs(family, layer, 'matrix')),
    ...encoderNorms(shape).flatMap((name) => normSpecs(family, name, hiddenSize)),
  ];
}

export function linearSpecs(
  family: Family,
  { name, inFeatures, outFeatures }: LinearLayer,
  role: WeightRole,
  optional = false,
): WeightSpec[] {
  return [
    { ...weightSpec(family, `${name}.weight`, [outFeatures, inFeatures], role), optional },
    { ...weightSpec(family, `${name}.bias`, [outFeatures]), optional },
  ];
}

export function normSpecs(family: Family, name: string, size: number): WeightSpec[] {
  return [weightSpec(family, `${name}.weight`, [size]), weightSpec(family, `${name}.bias`, [size])];
}

/**
 * A tensor that must be there. The file of a bare encoder, as those of sentence transformers are, lacks the family's prefix; files
 * converted from TensorFlow call a norm's tensors gamma and beta.
 */
export function weightSpec(
  { root }: Family,
  name: string,
  shape: readonly number[],
  role: WeightRole = 'plain',
): WeightSpec {
  const legacy = name
    .replace(/LayerNorm\.weight$/, 'LayerNorm.gamma')
    .replace(/LayerNorm\.bias$/, 'LayerNorm.beta');
  const names = legacy === name ? [name] : [name, legacy];
  const aliases = [...names, ...names.map((each) => each.replace(`${root}.`, ''))].slice(1);
  return { name, aliases, shape, role, optional: false };
}

/** The words' embeddings, float32 in the inputs' layout, as a method may have changed them. */
export function wordEmbeddings(
  inputs: EncoderInputs,
  name: string,
  weights: BaseWeights,
  sites: Sites,
): Value {
  const lookUp = ({ ids }: EmbeddingsCall) => weights.rows(name, ids);
  const call = { ids: AXES[inputs.layout].swap(inputs.inputIds) };
  return sites.embeddings ? sites.embeddings(call, lookUp) : lookUp(call);
}

/** Rows of a table of embeddings by token, float32 in the inputs' layout; `ids` is int32 `[batch, seq]`. */
export function embeddingsByToken(
  inputs: EncoderInputs,
  ids: Value,
  rows: (idsInLayout: Value) => Value,
): Value {
  return rows(AXES[inputs.layout].swap(ids));
}

/** The positions of a text's tokens, as a method may have moved them. */
export function positionsOf({ positionIds, attentionMask }: EncoderInputs, sites: Sites): Value {
  return sites.positions?.({ ids: positionIds, mask: attentionMask }) ?? positionIds;
}

/** Rows of a plain table by position; `positions` is int32 `[seq]`, which every text of the batch shares, or `[batch, seq]`. */
export function embeddingsByPosition(inputs: EncoderInputs, positions: Value, table: Value): Value {
  if (positions.shape.length === 2) return embeddingsByToken(inputs, positions, (ids) => gather(table, ids));
  return unsqueeze(gather(table, positions), [1 - AXES[inputs.layout].seq]);
}

/** 0 for a token and -1e9 for padding, float32 `[batch, 1, 1, seq]`. */
function attentionBias(mask: Value): Value {
  const [batch, seq] = mask.shape;
  return reshape(mul(sub(mask, 1), MASKED), [batch!, 1, 1, seq!]);
}

function encoderLayer(
  shape: EncoderShape,
  index: number,
  x: Value,
  mask: Value,
  layout: HiddenLayout,
  weights: BaseWeights,
  sites: Sites,
  opening: Opening,
): Value {
  const { family, heads, normEpsilon } = shape;
  const layers = layerLinears(shape, index);
  const apply = (layer: LinearLayer, input: Value) => applyLinear(layer, input, weights, sites, opening);
  const half = (kind: SublayerKind, input: Value, output: Value) => {
    const name = `${family.layers}${index}.${family.norms[kind]}`;
    const join = (y: Value) => norm(name, add(y, input), weights, normEpsilon, sites);
    const call: SublayerCall = { kind, index, x: input, y: output, join, opening };
    return sites.sublayer ? sites.sublayer(call, ({ y }) => join(y)) : join(output);
  };
  const context = attention(
    apply(layers.query, x),
    apply(layers.key, x),
    apply(layers.value, x),
    mask,
    heads,
    layout,
    (keys, values) => {
      const prefixes = sites.attention?.({ index, x, keys, values }) ?? [];
      return sharesOf(prefixes, () => opening({ place: attentionName(family, index), x }));
    },
  );
  const middle = half('attention', x, apply(layers.attentionOutput, context));
  const fed = apply(layers.output, gelu(apply(layers.intermediate, middle)));
  return half('output', middle, fed);
}

/** The name of a layer's attention, as a place of keys and values that stand before the text's own. */
export function attentionName({ layers }: Family, index: number): string {
  return `${layers}${index}.attention`;
}

/** What a row gets of keys and values that stand before the text's own. */
function sharesOf(prefixes: readonly KeysValues[], share: () => Value | undefined): readonly KeysValues[] {
  const given = prefixes.length > 0 ? share() : undefined;
  if (!given) return prefixes;
  return prefixes.map(({ keys, values, bias }) => {
    const beside = reshape(given, [keys.shape[0]!, 1, 1, 1]);
    return { keys: mul(keys, beside), values: mul(values, beside), bias };
  });
}

/**
 * Scaled dot-product attention over queries, keys and values in a layout, written out so that it differentiates; `before` gives the keys and
 * values that stand before the text's own.
 */
function attention(
  query: Value,
  key: Value,
  value: Value,
  mask: Value,
  heads: number,
  layout: HiddenLayout,
  before: (keys: Value, values: Value) => readonly KeysValues[],
): Value {
  const { toHeads, fromHeads } = AXES[layout];
  const [first, second, hidden] = query.shape as [string, string, number];
  const size = hidden / heads;
  const split = (x: Value) => transpose(reshape(x, [first, second, heads, size]), toHeads);
  const [queries, ownKeys, ownValues] = [split(query), split(key), split(value)];
  const prefixes = before(ownKeys, ownValues);
  const joined = (of: (prefix: KeysValues) => Value, own: Value, axis: number) =>
    concat([...prefixes.map(of), own], axis);
  const keys = joined((prefix) => prefix.keys, ownKeys, 2);
  const bias = joined((prefix) => prefix.bias, mask, 3);
  const scores = mul(matMul(queries, swapLastAxes(keys)), 1 / Math.sqrt(size));
  const context = matMul(
    softmax(add(scores, bias)),
    joined((prefix) => prefix.values, ownValues, 2),
  );
  return reshape(transpose(context, fromHeads), query.shape);
}

export function applyLinear(
  layer: LinearLayer,
  x: Value,
  weights: BaseWeights,
  sites: Sites,
  opening?: Opening,
): Value {
  const call: LinearCall = { layer, x, frozen: weights.linear(x.graph, layer.name), opening };
  return changedLinear(call, sites.linear?.(call));
}

export function norm(name: string, x: Value, weights: BaseWeights, epsilon: number, sites: Sites): Value {
  const scale = weights.plain(x.graph, `${name}.weight`);
  const bias = weights.plain(x.graph, `${name}.bias`);
  return changedNorm(layerNormalization(x, scale, bias, epsilon), sites.norm?.({ name, x, bias }));
}
