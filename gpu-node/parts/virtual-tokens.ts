import { type TensorEntry, toFloat32 } from '../../shared/safetensors.ts';
import type { Value } from '../graph/ir.ts';
import type { Sites } from '../models/sites.ts';
import { cast, equal, greater, matMul, range, sub, unsqueeze, where } from '../ops/index.ts';
import { type Part, type PartNumbers, SIZE, stackOf, type TensorBytes } from './part.ts';

/** The one place of the part: what stands before the first token of a text. */
export const VIRTUAL_TOKENS_PLACE = 'prompt';
const EMBEDDINGS = 'embeddings';

/**
 * Embeddings that stand before a text's own. A row's ids say how many: they begin with as many placeholders, so that a batch's lengths,
 * positions and costs count them as they count words. Rows without any are untouched.
 */
export const virtualTokens: Part = {
  places: () => [VIRTUAL_TOKENS_PLACE],
  stacks: (_places, { hiddenSize }) => [stackOf(VIRTUAL_TOKENS_PLACE, EMBEDDINGS, [SIZE, hiddenSize])],
  sites: (_places, rowsOf) => virtualTokenSites(() => rowsOf(VIRTUAL_TOKENS_PLACE, EMBEDDINGS)),
  unmergeable: 'puts trained tokens before those of a text',
};

/**
 * Puts a row of the prompt where its placeholder stands: the one formula of training, evaluation and serving.
 * @param promptOf gives `[virtual tokens, hidden]`, which all rows share, or `[batch, virtual tokens, hidden]`
 */
export function virtualTokenSites(promptOf: () => Value): Sites {
  return {
    embeddings: ({ ids }, next) => {
      const prompt = promptOf();
      const isVirtual = greater(0, ids);
      const words = next({ ids: where(isVirtual, 0, ids) });
      const numbers = unsqueeze(sub(-1, ids), [2]);
      // A row of the product is a row of the prompt as it is: one factor is 1, the others are 0.
      const chosen = cast(equal(numbers, range(ids.graph, prompt.shape.at(-2)!)), 'float32');
      return where(unsqueeze(isVirtual, [2]), matMul(chosen, prompt), words);
    },
  };
}

/** A prompt `[virtual tokens, hidden]` of an adapter's file, read each time that a slot is filled. */
export function virtualTokenNumbers(prompt: TensorEntry, bytes: TensorBytes): PartNumbers {
  return {
    size: prompt.shape[0]!,
    fill: (_stack, _size, slot) => slot.set(toFloat32(bytes(prompt), prompt)),
  };
}
