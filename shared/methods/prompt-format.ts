import { z } from 'zod';
import { FAMILIES, FAMILY_TITLES } from '../families.ts';
import type { TensorEntry } from '../safetensors.ts';
import { MAX_VIRTUAL_TOKENS } from './fields.ts';
import { type AdapterFormat, type EncoderSizes, tensor } from './format.ts';
import type { BaseShape } from './places.ts';
import { fail } from './refusal.ts';

/** What PEFT's prompt methods train, as it lies in their files: a row for each virtual token, already computed. */
export const PROMPT_TENSOR = 'prompt_embeddings';

/** The other tensors are the head's, which begin with this: unlike other methods these do not wrap the model. */
const HEAD_PREFIX = 'base_model.';

/** What an adapter of a prompt method changes, all of it in one tensor. */
export interface PromptTarget {
  /** `[virtual tokens, width]`. */
  readonly prompt: TensorEntry;
}

/** How many virtual tokens `"auto"` stands for: as many as PEFT's examples of classification have. */
export const AUTO_VIRTUAL_TOKENS = 20;

/** How many virtual tokens a prompt method has. */
export const virtualTokens = z.int().min(1).max(MAX_VIRTUAL_TOKENS);

/** The keys of adapter_config.json that PEFT's prompt methods share. */
export const promptKeys = {
  num_virtual_tokens: virtualTokens,
  num_transformer_submodules: z.literal(1, 'only encoders are served, which are one transformer').nullish(),
};

/** Those which say of the base model what it says itself. */
export const PROMPT_KEYS_WITHOUT_EFFECT = ['num_attention_heads', 'num_layers', 'token_dim'] as const;

/** What decides how the tensor of a prompt method is applied. */
export interface PromptFileConfig {
  readonly virtualTokens: number;
}

/**
 * The members of a format whose files name no module: they hold `prompt_embeddings` and the head, so it is the head that tells the family.
 * @param widthOn columns of the tensor on a base model
 */
export function byPrompt<C extends PromptFileConfig>(
  tensorTitle: string,
  widthOn: (base: BaseShape) => number,
): Pick<
  AdapterFormat<never, C, PromptTarget>,
  'layout' | 'tensorTitle' | 'fileName' | 'familyOf' | 'targets' | 'tensorsOf' | 'gainsOf' | 'virtualTokens'
> {
  return {
    layout: 'peft',
    tensorTitle,
    fileName,
    familyOf: ({ header, what }) => {
      const isThere = (layer: string) => header.tensors.has(fileName(`${layer}.weight`));
      const whole = Object.values(FAMILIES).filter(({ head }) => head.every(isThere));
      // BERT's head is a layer of DistilBERT's.
      const [family] = whole.sort((a, b) => b.head.length - a.head.length);
      return family ?? fail(what, `it has no classifier of the encoders there are: ${FAMILY_TITLES}`);
    },
    targets: ({ config, header, what }) => {
      const prompt = tensor(header, PROMPT_TENSOR, 2, what);
      const { virtualTokens } = config;
      if (prompt.shape[0] !== virtualTokens) {
        const said = `adapter_config.json says ${virtualTokens} virtual tokens`;
        fail(what, `${PROMPT_TENSOR} is [${prompt.shape}], ${said}`);
      }
      return [{ prompt }];
    },
    tensorsOf: ({ prompt }) => [
      { label: PROMPT_TENSOR, entry: prompt, needed: (base) => [prompt.shape[0]!, widthOn(base)] },
    ],
    gainsOf: ({ prompt }, normOf) => [[PROMPT_TENSOR, normOf(prompt)]],
    virtualTokens: ({ prompt }) => prompt.shape[0]!,
  };
}

/** The keys that every prompt method writes. */
export function writePromptKeys(
  num_virtual_tokens: number,
  { hiddenSize, layers, heads }: EncoderSizes,
): Record<string, unknown> {
  return {
    num_attention_heads: heads,
    num_layers: layers,
    num_transformer_submodules: 1,
    num_virtual_tokens,
    token_dim: hiddenSize,
  };
}

function fileName(name: string): string {
  return name === PROMPT_TENSOR ? name : HEAD_PREFIX + name;
}
