import { AUTO_VIRTUAL_TOKENS, PROMPT_TENSOR } from '../../shared/methods/prompt-format.ts';
import type { PromptTuningConfig } from '../../shared/peft-config.ts';
import type { Architecture, BaseModel } from '../models/model.ts';
import { drawn, normal, type Trainable } from '../parts/trainable.ts';
import { virtualTokenSites } from '../parts/virtual-tokens.ts';
import type { Random } from '../random.ts';
import { given, type PeftMethod } from './method.ts';
import { servedPrompt } from './prompt.ts';

/**
 * Prompt tuning (Lester et al. 2021, arXiv:2104.08691) as HF PEFT has it (peft/tuners/prompt_tuning/model.py): embeddings that stand
 * before [CLS] are trained. To the encoder they are words like any other, with positions, the first token type and a mask of ones.
 */
export const promptTuning: PeftMethod<'prompt_tuning'> = {
  ...servedPrompt,
  resolve: ({ type, ...request }) => ({
    type,
    num_virtual_tokens: given(request.num_virtual_tokens, AUTO_VIRTUAL_TOKENS),
    init: given(request.init, 'vocabulary'),
  }),
  trainables: (config, architecture) => [prompt(config, architecture)],
  sites: (_config, _architecture, parameters) => virtualTokenSites(() => parameters[PROMPT_TENSOR]!),
  dropout: () => 0,
};

/** The prompt `[virtual tokens, hidden]` as PEFT starts it. */
function prompt(
  { num_virtual_tokens: count, init }: PromptTuningConfig,
  { hiddenSize, vocabSize, words }: Architecture,
): Trainable {
  const tensor = { name: PROMPT_TENSOR, shape: [count, hiddenSize] };
  if (init === 'random') return drawn(tensor.name, tensor.shape, normal);
  const tokensFor = (base: BaseModel, random: Random) =>
    init === 'vocabulary'
      ? Int32Array.from({ length: count }, () => random.below(vocabSize))
      : tokensOf(init.text, count, base);
  return {
    ...tensor,
    derive: async (graph, base, random) => {
      const tokens = graph.constant('int32', [count], await tokensFor(base, random));
      return base.weights.rows(words, tokens);
    },
  };
}

/** A text's tokens, special ones included, from the first on again where they are fewer than asked for. */
async function tokensOf(text: string, count: number, base: BaseModel): Promise<Int32Array> {
  const tokenizer = await base.loadTokenizer();
  const { ids } = tokenizer.encode(text, Number.POSITIVE_INFINITY);
  return Int32Array.from({ length: count }, (_, i) => ids[i % ids.length]!);
}
