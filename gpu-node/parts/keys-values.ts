import type { Family } from '../../shared/families.ts';
import { type TensorEntry, toFloat32 } from '../../shared/safetensors.ts';
import type { Value } from '../graph/ir.ts';
import { elementCount } from '../graph/shapes.ts';
import { attentionName, MASKED } from '../models/encoder.ts';
import { behind } from '../models/sites.ts';
import { cast, mul, reshape, sub } from '../ops/index.ts';
import { type Part, type PartNumbers, SIZE, stackOf, type TensorBytes } from './part.ts';

/** Of all layers: which of a prefix's places in the stack are live, and by how much it moves the text's positions. */
const EVERY_LAYER = 'prefix';

/**
 * Keys and values that stand before the text's own. A prefix that is shorter than its stack, or that a row does not have, is masked: its
 * weights are exactly 0 there.
 */
export const keysValues: Part = {
  places: ({ family, layers }) => Array.from({ length: layers }, (_, index) => attentionName(family, index)),
  stacks: (places, { heads, hiddenSize }) => [
    stackOf(EVERY_LAYER, 'live', [SIZE]),
    stackOf(EVERY_LAYER, 'shift', [1]),
    ...[...places].flatMap((place) =>
      ['keys', 'values'].map((tensor) => stackOf(place, tensor, [heads, SIZE, hiddenSize / heads])),
    ),
  ],
  sites: (places, rowsOf, { family }) => ({
    positions: (call) => behind(call, cast(rowsOf(EVERY_LAYER, 'shift'), 'int32')),
    attention: ({ index }) => {
      const place = attentionName(family, index);
      if (!places.has(place)) return [];
      const bias = maskDead(rowsOf(EVERY_LAYER, 'live'));
      return [{ keys: rowsOf(place, 'keys'), values: rowsOf(place, 'values'), bias }];
    },
  }),
  unmergeable: 'puts keys and values before those of a text',
};

/** `[batch, 1, 1, prefix]` of 1 for what is live and 0 for the rest, `[batch, prefix]`. */
function maskDead(live: Value): Value {
  const [batch, prefix] = live.shape;
  return reshape(mul(sub(live, 1), MASKED), [batch!, 1, 1, prefix!]);
}

/** A prefix in an adapter's file. */
export interface ServedPrefix {
  /** Row-major `[virtual tokens, 2 * layers * hidden]`: keys of the first layer, its values, and so on. */
  readonly entry: TensorEntry;
  readonly virtualTokens: number;
  /** By how much it moves the positions of the text. */
  readonly shift: number;
}

/** A prefix, read each time that a slot is filled. */
export function prefixNumbers(
  { entry, virtualTokens, shift }: ServedPrefix,
  bytes: TensorBytes,
  family: Family,
): PartNumbers {
  const width = elementCount(entry.shape) / virtualTokens;
  return {
    size: virtualTokens,
    fill: ({ place, tensor, shape }, size, slot) => {
      if (tensor === 'live') return slot.fill(1, 0, virtualTokens);
      if (tensor === 'shift') return slot.fill(shift);
      const [heads, , features] = shape as [number, typeof SIZE, number];
      const layer = Number.parseInt(place.slice(family.layers.length), 10);
      const begin = (2 * layer + Number(tensor === 'values')) * heads * features;
      const prefix = toFloat32(bytes(entry), entry);
      for (let token = 0; token < virtualTokens; token++) {
        for (let head = 0; head < heads; head++) {
          const from = token * width + begin + head * features;
          slot.set(prefix.subarray(from, from + features), (head * size + token) * features);
        }
      }
    },
  };
}
