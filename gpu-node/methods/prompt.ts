import type { PromptTarget } from '../../shared/methods/prompt-format.ts';
import type { ServedParts } from '../parts/index.ts';
import type { TensorBytes } from '../parts/part.ts';
import { VIRTUAL_TOKENS_PLACE, virtualTokenNumbers } from '../parts/virtual-tokens.ts';

/** The members of methods whose adapters are a prompt, however it was trained. */
export const servedPrompt = {
  toShrink: { field: 'num_virtual_tokens', way: 'lower method.num_virtual_tokens' },
  modules: () => [],
  placeholders: true,
  plan: () => ({ virtualTokens: [VIRTUAL_TOKENS_PLACE] }),
  load: async (
    { targets }: { targets: readonly PromptTarget[] },
    bytes: TensorBytes,
  ): Promise<ServedParts> => ({ virtualTokens: virtualTokenNumbers(targets[0]!.prompt, bytes) }),
} as const;
