import type { Value } from '../graph/ir.ts';
import { div, matMul, reduceSum, reshape, slice, transpose } from '../ops/index.ts';
import type { EncoderInputs, HiddenLayout } from './model.ts';

/** Where the layouts differ: the axis of tokens, from `[batch, seq, ..]` or back, to `[batch, heads, seq, size]`, and back. */
export const AXES = {
  'seq-first': {
    seq: 0,
    swap: (x: Value) => transpose(x, x.shape.length === 2 ? [1, 0] : [1, 0, 2]),
    toHeads: [1, 2, 0, 3],
    fromHeads: [2, 0, 1, 3],
  },
  'batch-first': { seq: 1, swap: (x: Value) => x, toHeads: [0, 2, 1, 3], fromHeads: [0, 2, 1, 3] },
} as const satisfies Record<HiddenLayout, object>;

/** `[batch, hidden]` of the token that begins a text, [CLS] or `<s>`. */
export function firstToken(hidden: Value, { layout }: EncoderInputs): Value {
  const { seq } = AXES[layout];
  return reshape(slice(hidden, seq, 0, 1), [hidden.shape[1 - seq]!, hidden.shape[2]!]);
}

/** Mean over the real tokens of a row, as a product with their weights, which is one matrix product a row. */
export function meanOfTokens(hidden: Value, { attentionMask, layout }: EncoderInputs): Value {
  const byRow = AXES[layout].swap(hidden);
  const [batch, seq, size] = byRow.shape;
  const share = div(attentionMask, reduceSum(attentionMask, [1]));
  return reshape(matMul(reshape(share, [batch!, 1, seq!]), byRow), [batch!, size!]);
}
