import { FAMILIES } from '../../shared/families.ts';
import type { EncoderSizes } from '../../shared/methods/format.ts';

/** A BERT encoder of this width, as far as adapters' files tell of it. */
export function bertOf(hiddenSize: number): EncoderSizes {
  return { type: 'bert', family: FAMILIES.bert, hiddenSize, layers: 2, heads: 2 };
}
