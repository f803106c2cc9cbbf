import { z } from 'zod';
import { FAMILIES } from '../../shared/families.ts';
import { MAX_SEQUENCE_LENGTH } from '../../shared/peft-config.ts';
import { add, gather, tanh } from '../ops/index.ts';
import { bertFields, headsDivide } from './config-fields.ts';
import {
  applyLinear,
  type EncoderShape,
  embeddingsByPosition,
  embeddingsByToken,
  encode,
  encoderLinears,
  encoderNorms,
  encoderSpecs,
  linearSpecs,
  norm,
  normSpecs,
  positionsOf,
  weightSpec,
  wordEmbeddings,
} from './encoder.ts';
import { classificationHead } from './head.ts';
import { firstToken, meanOfTokens } from './layout.ts';
import type { Architecture } from './model.ts';
import type { LinearLayer } from './sites.ts';

const FAMILY = FAMILIES.bert;
const WORDS = 'bert.embeddings.word_embeddings.weight';
const POSITIONS = 'bert.embeddings.position_embeddings.weight';
const TOKEN_TYPES = 'bert.embeddings.token_type_embeddings.weight';
const EMBEDDINGS_NORM = FAMILY.embeddingsNorm;

const bertConfig = z
  .object({ model_type: z.literal('bert'), ...bertFields })
  .refine(...headsDivide('num_attention_heads', 'hidden_size'));

/**
 * BERT (Devlin et al. 2018, arXiv:1810.04805) as transformers' `BertForSequenceClassification` computes it in
 * evaluation mode: learned positions, token types, a pooler before a head of one layer.
 * @param config the parsed config.json
 * @throws {z.ZodError} naming the field that does not fit
 */
export function bert(config: unknown): Architecture {
  const c = bertConfig.parse(config);
  const hidden = c.hidden_size;
  const shape: EncoderShape = {
    family: FAMILY,
    hiddenSize: hidden,
    intermediateSize: c.intermediate_size,
    layers: c.num_hidden_layers,
    heads: c.num_attention_heads,
    normEpsilon: c.layer_norm_eps,
  };
  const layers = encoderLinears(shape);
  const pooler: LinearLayer = { name: FAMILY.pooler!, inFeatures: hidden, outFeatures: hidden };
  return {
    type: c.model_type,
    classifierClass: 'BertForSequenceClassification',
    family: FAMILY,
    hiddenSize: hidden,
    intermediateSize: c.intermediate_size,
    layers: c.num_hidden_layers,
    heads: shape.heads,
    vocabSize: c.vocab_size,
    words: WORDS,
    maxLength: Math.min(c.max_position_embeddings, MAX_SEQUENCE_LENGTH),
    head: classificationHead(FAMILY, hidden, c.initializer_range, tanh),
    weights: [
      weightSpec(FAMILY, WORDS, [c.vocab_size, hidden], 'table'),
      weightSpec(FAMILY, POSITIONS, [c.max_position_embeddings, hidden]),
      weightSpec(FAMILY, TOKEN_TYPES, [c.type_vocab_size, hidden]),
      ...normSpecs(FAMILY, EMBEDDINGS_NORM, hidden),
      ...encoderSpecs(shape),
      ...linearSpecs(FAMILY, pooler, 'pooled-matrix', true),
    ],
    linears: (pooling) => (pooling === 'cls' ? [...layers, pooler] : layers),
    norms: [EMBEDDINGS_NORM, ...encoderNorms(shape)],
    encode: (weights, inputs, sites) =>
      encode(shape, weights, inputs, sites, () => {
        const { inputIds, tokenTypeIds } = inputs;
        const table = (name: string) => weights.plain(inputIds.graph, name);
        const words = wordEmbeddings(inputs, WORDS, weights, sites);
        const positions = embeddingsByPosition(inputs, positionsOf(inputs, sites), table(POSITIONS));
        const types = embeddingsByToken(inputs, tokenTypeIds, (ids) => gather(table(TOKEN_TYPES), ids));
        return norm(EMBEDDINGS_NORM, add(add(words, types), positions), weights, shape.normEpsilon, sites);
      }),
    pool: (pooling, states, weights, inputs, sites) =>
      pooling === 'mean'
        ? meanOfTokens(states, inputs)
        : tanh(applyLinear(pooler, firstToken(states, inputs), weights, sites)),
  };
}
