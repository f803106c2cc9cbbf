import type { Graph } from '../graph/builder.ts';
import { type Feeds, tensor } from '../runtime/session.ts';
import type { EncoderInputs, HiddenLayout } from './model.ts';

/** Token ids of a batch, padded on the right to one length. */
export interface TokenBatch {
  readonly rows: number;
  readonly length: number;
  /** `[rows, length]`. */
  readonly inputIds: Int32Array;
  /** `[rows, length]`: 1 for a token, 0 for padding. */
  readonly attentionMask: Float32Array;
  /** `[rows, length]`; all 0, as for single texts, where absent. */
  readonly tokenTypeIds?: Int32Array;
}

/** Texts as one batch, padded on the right to the longest. */
export function padToLongest(texts: readonly { readonly ids: ArrayLike<number> }[]): TokenBatch {
  const length = Math.max(...texts.map(({ ids }) => ids.length));
  const inputIds = new Int32Array(texts.length * length);
  const attentionMask = new Float32Array(texts.length * length);
  for (const [row, { ids }] of texts.entries()) {
    inputIds.set(ids, row * length);
    attentionMask.fill(1, row * length, row * length + ids.length);
  }
  return { rows: texts.length, length, inputIds, attentionMask };
}

/** Declares an encoder's inputs over the symbols `batch` and `seq`. */
export function encoderInputs(graph: Graph, layout: HiddenLayout): EncoderInputs {
  return {
    layout,
    inputIds: graph.input('input_ids', 'int32', ['batch', 'seq']),
    tokenTypeIds: graph.input('token_type_ids', 'int32', ['batch', 'seq']),
    positionIds: graph.input('position_ids', 'int32', ['seq']),
    attentionMask: graph.input('attention_mask', 'float32', ['batch', 'seq']),
  };
}

/** A batch as feeds of `encoderInputs`. */
export function encoderFeeds(batch: TokenBatch): Feeds {
  const { rows, length } = batch;
  const types = batch.tokenTypeIds ?? new Int32Array(rows * length);
  return {
    input_ids: tensor('int32', [rows, length], batch.inputIds),
    token_type_ids: tensor('int32', [rows, length], types),
    position_ids: tensor(
      'int32',
      [length],
      Int32Array.from({ length }, (_, position) => position),
    ),
    attention_mask: tensor('float32', [rows, length], batch.attentionMask),
  };
}
