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

/** Widest that the projection of a prefix may be. */
export const MAX_PROJECTION = 1024;

export const prefixFields = {
  num_virtual_tokens: virtualTokens,
  prefix_projection: z.boolean(),
  encoder_hidden_size: z.int().min(1).max(MAX_PROJECTION),
  dropout: z.number().min(0).max(0.9),
};
const fields = { ...prefixFields, ...common };

/**
 * Prefix tuning (Li and Liang 2021, arXiv:2101.00190): keys and values that stand before the text's own in every layer. With
 * `prefix_projection` they are trained through a network of one hidden layer, `encoder_hidden_size` wide; without it, and with dropout, this is
 * P-tuning v2 (Liu et al. 2022, arXiv:2110.07602).
 */
export const prefixTuningConfig = z.strictObject({ type: z.literal('prefix_tuning'), ...fields });
export type PrefixTuningConfig = z.infer<typeof prefixTuningConfig>;
export const prefixTuningRequest = z.strictObject({ type: z.literal('prefix_tuning'), ...orAuto(fields) });

export interface PrefixFileConfig extends PromptFileConfig {
  readonly projection: boolean;
  readonly encoderHiddenSize: number | null;
}

const keys = z.object({
  ...promptKeys,
  // How it was trained: the file holds what came out.
  prefix_projection: z.boolean().default(false),
  encoder_hidden_size: z.int().min(1).max(MAX_PROJECTION).nullish().catch(null),
});

/** Prefix tuning as HF PEFT writes it (peft/tuners/prefix_tuning, release 0.21): a row a virtual token, a key and a value for each layer. */
export const prefixTuningFormat: AdapterFormat<PrefixTuningConfig, PrefixFileConfig, PromptTarget> = {
  peftType: 'PREFIX_TUNING',
  learningRate: 1e-2,
  ...byPrompt('prefix', ({ num_layers, hidden_size }) => 2 * num_layers * hidden_size),
  keys: keys.shape,
  withoutEffect: [...PROMPT_KEYS_WITHOUT_EFFECT, 'init_weights'],
  parse: (file) => {
    const config = file as z.infer<typeof keys>;
    return {
      virtualTokens: config.num_virtual_tokens,
      projection: config.prefix_projection,
      encoderHiddenSize: config.encoder_hidden_size ?? null,
    };
  },
  methodOf: ({ virtualTokens, projection, encoderHiddenSize }, [target]) => ({
    type: 'prefix_tuning',
    num_virtual_tokens: virtualTokens,
    prefix_projection: projection,
    // A file need not say it, for what it decided is computed already.
    encoder_hidden_size: encoderHiddenSize ?? Math.min(MAX_PROJECTION, target!.prompt.shape[1]!),
    dropout: 0,
  }),
  write: ({ method, encoder }) => ({
    ...writePromptKeys(method.num_virtual_tokens, encoder),
    encoder_hidden_size: method.encoder_hidden_size,
    init_weights: null,
    prefix_projection: method.prefix_projection,
  }),
};
