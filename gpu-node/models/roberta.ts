import { z } from 'zod';
import { FAMILIES } from '../../shared/families.ts';
import { MAX_SEQUENCE_LENGTH, MIN_TEXT_TOKENS } from '../../shared/peft-config.ts';
import { add, slice, tanh } from '../ops/index.ts';
import { bertFields, headsDivide } from './config-fields.ts';
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

const FAMILY = FAMILIES.roberta;
const WORDS = 'roberta.embeddings.word_embeddings.weight';
const POSITIONS = 'roberta.embeddings.position_embeddings.weight';
const TOKEN_TYPES = 'roberta.embeddings.token_type_embeddings.weight';
const EMBEDDINGS_NORM = FAMILY.embeddingsNorm;

const CLASSIFIER_CLASSES = {
  roberta: 'RobertaForSequenceClassification',
  'xlm-roberta': 'XLMRobertaForSequenceClassification',
} as const;

const robertaConfig = z
  .object({
    model_type: z.enum(['roberta', 'xlm-roberta']),
    ...bertFields,
    pad_token_id: z.int().min(0).max(65_536).default(1),
  })
  .refine(...headsDivide('num_attention_heads', 'hidden_size'))
  .refine((c) => firstPosition(c) + MIN_TEXT_TOKENS <= c.max_position_embeddings, {
    path: ['max_position_embeddings'],
    message: `must be at least pad_token_id + 1 + ${MIN_TEXT_TOKENS}`,
  });

/** Positions are counted from behind that of padding, which fairseq gave a row of the table too. */
const firstPosition = ({ pad_token_id }: { pad_token_id: number }) => pad_token_id + 1;

/**
 * RoBERTa (Liu et al. 2019, arXiv:1907.11692) and XLM-RoBERTa (Conneau et al. 2019, arXiv:1911.02116) as transformers'
 * `RobertaForSequenceClassification` computes them in evaluation mode, on texts in which padding is at the end only. Every token is of
 * type 0. There is no pooler: the head's first layer, which is trained, takes its place.
 * @param config the parsed config.json
 * @throws {z.ZodError} naming the field that does not fit
 */
export function roberta(config: unknown): Architecture {
  const c = robertaConfig.parse(config);
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
  return {
    type: c.model_type,
    classifierClass: CLASSIFIER_CLASSES[c.model_type],
    family: FAMILY,
    hiddenSize: hidden,
    intermediateSize: c.intermediate_size,
    layers: c.num_hidden_layers,
    heads: shape.heads,
    vocabSize: c.vocab_size,
    words: WORDS,
    maxLength: Math.min(c.max_position_embeddings - firstPosition(c), MAX_SEQUENCE_LENGTH),
    head: classificationHead(FAMILY, hidden, c.initializer_range, tanh),
    weights: [
      weightSpec(FAMILY, WORDS, [c.vocab_size, hidden], 'table'),
      weightSpec(FAMILY, POSITIONS, [c.max_position_embeddings, hidden]),
      weightSpec(FAMILY, TOKEN_TYPES, [c.type_vocab_size, hidden]),
      ...normSpecs(FAMILY, EMBEDDINGS_NORM, hidden),
      ...encoderSpecs(shape),
    ],
    linears: () => layers,
    norms: [EMBEDDINGS_NORM, ...encoderNorms(shape)],
    encode: (weights, inputs, sites) =>
      encode(shape, weights, inputs, sites, () => {
        const { inputIds } = inputs;
        const table = (name: string) => weights.plain(inputIds.graph, name);
        const words = wordEmbeddings(inputs, WORDS, weights, sites);
        const behindPadding = add(positionsOf(inputs, sites), firstPosition(c));
        const positions = embeddingsByPosition(inputs, behindPadding, table(POSITIONS));
        const everywhere = add(positions, slice(table(TOKEN_TYPES), 0, 0, 1));
        return norm(EMBEDDINGS_NORM, add(words, everywhere), weights, shape.normEpsilon, sites);
      }),
    pool: (pooling, states, _weights, inputs) =>
      pooling === 'mean' ? meanOfTokens(states, inputs) : firstToken(states, inputs),
  };
}
