import { z } from 'zod';
import { common, orAuto } from './fields.ts';
import type { AdapterFormat } from './format.ts';
import {
  byPrompt,
  PROMPT_KEYS_WITHOUT_EFFECT,
  type PromptFileConfig,
  type PromptTarget,
  promptKeys,
  virtualTokens,
  writePromptKeys,
} from './prompt-format.ts';

const encoderFields = {
  encoder: z.enum(['mlp', 'lstm']),
  encoder_hidden_size: z.int().min(1).max(2048),
  encoder_num_layers: z.int().min(1).max(4),
  encoder_dropout: z.number().min(0).max(0.9),
};
const fields = { num_virtual_tokens: virtualTokens, ...encoderFields, ...common };

/** An LSTM is unrolled, so that each virtual token makes the training graph larger by so many operators. */
const MAX_LSTM_TOKENS = 128;

/** What is known of a request that a field alone does not tell. */
interface EncoderRequest {
  encoder: 'auto' | 'mlp' | 'lstm';
  num_virtual_tokens: number | 'auto';
  encoder_num_layers: number | 'auto';
  encoder_dropout: number | 'auto';
}

/**
 * P-tuning (Liu et al. 2021, arXiv:2103.10385): as prompt tuning, but a small network computes the embeddings while they are trained.
 */
export const pTuningConfig = z.strictObject({ type: z.literal('p_tuning'), ...fields });
export type PTuningConfig = z.infer<typeof pTuningConfig>;
export const pTuningRequest = z
  .strictObject({ type: z.literal('p_tuning'), ...orAuto(fields) })
  .superRefine(checkEncoder);

/** PEFT ignores what an encoder does not have; here it is refused. */
function checkEncoder(request: EncoderRequest, context: z.RefinementCtx): void {
  const refuse = (field: keyof EncoderRequest, message: string) =>
    context.addIssue({ code: 'custom', path: [field], message });
  if (request.encoder === 'lstm') {
    const { num_virtual_tokens: count } = request;
    if (count === 'auto' || count <= MAX_LSTM_TOKENS) return;
    refuse('num_virtual_tokens', `at most ${MAX_LSTM_TOKENS} with the encoder "lstm"`);
    return;
  }
  for (const field of ['encoder_num_layers', 'encoder_dropout'] as const) {
    if (request[field] !== 'auto') refuse(field, 'only the encoder "lstm" has it');
  }
}

/** What decides how an adapter's prompt is applied, and what it was computed with. */
export interface PTuningFileConfig extends PromptFileConfig {
  readonly encoder: Pick<PTuningConfig, keyof typeof encoderFields>;
}

/** The network has no effect on what it came to, so it is shown where it is sound and not insisted upon. */
const keys = z.object({
  ...promptKeys,
  encoder_reparameterization_type: z.enum(['MLP', 'LSTM']).catch('MLP'),
  encoder_hidden_size: encoderFields.encoder_hidden_size.catch(1),
  encoder_num_layers: encoderFields.encoder_num_layers.catch(2),
  encoder_dropout: encoderFields.encoder_dropout.catch(0),
});

const ENCODERS = { MLP: 'mlp', LSTM: 'lstm' } as const;

/** P-tuning as HF PEFT writes it (peft/tuners/p_tuning/config.py, release 0.21): the prompt itself, not what computed it. */
export const pTuningFormat: AdapterFormat<PTuningConfig, PTuningFileConfig, PromptTarget> = {
  peftType: 'P_TUNING',
  learningRate: 1e-3,
  ...byPrompt('prompt', ({ hidden_size }) => hidden_size),
  keys: keys.shape,
  withoutEffect: PROMPT_KEYS_WITHOUT_EFFECT,
  parse: (file) => {
    const { num_virtual_tokens, encoder_reparameterization_type, ...rest } = file as z.infer<typeof keys>;
    const { encoder_hidden_size, encoder_num_layers, encoder_dropout } = rest;
    const encoder = ENCODERS[encoder_reparameterization_type];
    return {
      virtualTokens: num_virtual_tokens,
      encoder: { encoder, encoder_hidden_size, encoder_num_layers, encoder_dropout },
    };
  },
  methodOf: ({ virtualTokens: num_virtual_tokens, encoder }) => ({
    type: 'p_tuning',
    num_virtual_tokens,
    ...encoder,
  }),
  write: ({ method, encoder }) => ({
    ...writePromptKeys(method.num_virtual_tokens, encoder),
    encoder_dropout: method.encoder_dropout,
    encoder_hidden_size: method.encoder_hidden_size,
    encoder_num_layers: method.encoder_num_layers,
    encoder_reparameterization_type: method.encoder.toUpperCase(),
  }),
};
