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

/** Characters of a text that a prompt starts from; tokens beyond the number of virtual ones are not used. */
const MAX_INIT_CHARS = 4096;

const initText = z.string().min(1).max(MAX_INIT_CHARS);

const fields = {
  num_virtual_tokens: virtualTokens,
  init: z.union([z.enum(['random', 'vocabulary']), z.strictObject({ text: initText })]),
  ...common,
};

/** Prompt tuning (Lester et al. 2021, arXiv:2104.08691): trained embeddings before the text's own. `init` is what they start from. */
export const promptTuningConfig = z.strictObject({ type: z.literal('prompt_tuning'), ...fields });
export type PromptTuningConfig = z.infer<typeof promptTuningConfig>;
export const promptTuningRequest = z.strictObject({ type: z.literal('prompt_tuning'), ...orAuto(fields) });

/** What decides how an adapter's prompt is applied, and what it is known to have started from. */
export interface PromptTuningFileConfig extends PromptFileConfig {
  readonly init: PromptTuningConfig['init'];
}

/** What a prompt started from has no effect on what it came to, so it is shown where it is sound and not insisted upon. */
const keys = z.object({
  ...promptKeys,
  prompt_tuning_init: z.enum(['RANDOM', 'SAMPLE_VOCAB', 'TEXT']).catch('RANDOM'),
  prompt_tuning_init_text: initText.nullish().catch(null),
});

/** Prompt tuning as HF PEFT writes it (peft/tuners/prompt_tuning/config.py, release 0.21). */
export const promptTuningFormat: AdapterFormat<PromptTuningConfig, PromptTuningFileConfig, PromptTarget> = {
  peftType: 'PROMPT_TUNING',
  learningRate: 1e-2,
  ...byPrompt('prompt', ({ hidden_size }) => hidden_size),
  keys: keys.shape,
  withoutEffect: [...PROMPT_KEYS_WITHOUT_EFFECT, 'tokenizer_kwargs', 'tokenizer_name_or_path'],
  parse: (file) => {
    const { num_virtual_tokens, prompt_tuning_init, prompt_tuning_init_text } = file as z.infer<typeof keys>;
    const text = prompt_tuning_init === 'TEXT' ? prompt_tuning_init_text : null;
    const other = prompt_tuning_init === 'SAMPLE_VOCAB' ? 'vocabulary' : 'random';
    return { virtualTokens: num_virtual_tokens, init: text ? { text } : other };
  },
  methodOf: ({ virtualTokens: num_virtual_tokens, init }) => ({
    type: 'prompt_tuning',
    num_virtual_tokens,
    init,
  }),
  write: ({ method: { num_virtual_tokens, init }, encoder, baseModel }) => {
    const text = typeof init === 'string' ? null : init.text;
    return {
      ...writePromptKeys(num_virtual_tokens, encoder),
      prompt_tuning_init: text !== null ? 'TEXT' : init === 'random' ? 'RANDOM' : 'SAMPLE_VOCAB',
      prompt_tuning_init_text: text,
      tokenizer_kwargs: null,
      // PEFT reads no configuration with a text whose tokenizer it does not know.
      tokenizer_name_or_path: text === null ? null : baseModel,
    };
  },
};
