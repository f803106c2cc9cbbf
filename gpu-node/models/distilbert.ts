import { z } from 'zod';
import { FAMILIES } from '../../shared/families.ts';
import { MAX_SEQUENCE_LENGTH } from '../../shared/peft-config.ts';
import { add, relu } from '../ops/index.ts';
import {
  feedForwardWidth,
  headCount,
  headsDivide,
  initializerRange,
  layerCount,
  positionCount,
  vocabSize,
  width,
} from './config-fields.ts';
import {
  type EncoderShape,
  embeddingsByPosition,
  encode,
  encoderLinears,
  encoderNorms,
  encoderSpecs,
  norm,
  normSpecs,
  positionsOf,
  weightSpec,
  wordEmbeddings,
} from './encoder.ts';
import { classificationHead } from './head.ts';
import { firstToken, meanOfTokens } from './layout.ts';
import type { Architecture } from './model.ts';

const FAMILY = FAMILIES.distilbert;
const WORDS = 'distilbert.embeddings.word_embeddings.weight';
const POSITIONS = 'distilbert.embeddings.position_embeddings.weight';
const EMBEDDINGS_NORM = FAMILY.embeddingsNorm;
/** Not a field of its config.json: a constant of transformers' modeling_distilbert.py. */
const NORM_EPSILON = 1e-12;

const distilbertConfig = z
  .object({
    model_type: z.literal('distilbert'),
    vocab_size: vocabSize,
    dim: width,
    n_layers: layerCount,
    n_heads: headCount,
    hidden_dim: feedForwardWidth,
    max_position_embeddings: positionCount,
    activation: z.literal('gelu'),
    initializer_range: initializerRange,
  })
  .refine(...headsDivide('n_heads', 'dim'));

/**
 * DistilBERT (Sanh et al. 2019, arXiv:1910.01108) as transformers' `DistilBertForSequenceClassification` computes it in
 * evaluation mode: BERT without token types and pooler. Positions are read from the file, sinusoidal or learned.
 * @param config the parsed config.json
 * @throws {z.ZodError} naming the field that does not fit
 */
export function distilbert(config: unknown): Architecture {
  const c = distilbertConfig.parse(config);
  const shape: EncoderShape = {
    family: FAMILY,
    hiddenSize: c.dim,
    intermediateSize: c.hidden_dim,
    layers: c.n_layers,
    heads: c.n_heads,
    normEpsilon: NORM_EPSILON,
  };
  const layers = encoderLinears(shape);
  return {
    type: c.model_type,
    classifierClass: 'DistilBertForSequenceClassification',
    family: FAMILY,
    hiddenSize: c.dim,
    intermediateSize: c.hidden_dim,
    layers: c.n_layers,
    heads: shape.heads,
    vocabSize: c.vocab_size,
    words: WORDS,
    maxLength: Math.min(c.max_position_embeddings, MAX_SEQUENCE_LENGTH),
    head: classificationHead(FAMILY, c.dim, c.initializer_range, relu),
    weights: [
      weightSpec(FAMILY, WORDS, [c.vocab_size, c.dim], 'table'),
      weightSpec(FAMILY, POSITIONS, [c.max_position_embeddings, c.dim]),
      ...normSpecs(FAMILY, EMBEDDINGS_NORM, c.dim),
      ...encoderSpecs(shape),
    ],
    linears: () => layers,
    norms: [EMBEDDINGS_NORM, ...encoderNorms(shape)],
    encode: (weights, inputs, sites) =>
      encode(shape, weights, inputs, sites, () => {
        const { inputIds } = inputs;
        const words = wordEmbeddings(inputs, WORDS, weights, sites);
        const table = weights.plain(inputIds.graph, POSITIONS);
        const positions = embeddingsByPosition(inputs, positionsOf(inputs, sites), table);
        return norm(EMBEDDINGS_NORM, add(words, positions), weights, shape.normEpsilon, sites);
      }),
    pool: (pooling, states, _weights, inputs) =>
      pooling === 'mean' ? meanOfTokens(states, inputs) : firstToken(states, inputs),
  };
}
