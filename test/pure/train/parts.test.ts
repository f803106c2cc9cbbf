import { describe, expect, it } from 'vitest';
import { padToLongest } from '../../../gpu-node/models/inputs.ts';
import { splitIntoParts } from '../../../gpu-node/train/parts.ts';

const examples = (...lengths: number[]) =>
  lengths.map((length, label) => ({ ids: Int32Array.from({ length }, (_, i) => 10 * label + i), label }));
const lengthsOf = (parts: ReturnType<typeof examples>[]) =>
  parts.map((part) => part.map(({ ids }) => ids.length));

describe('the parts of a batch', () => {
  it('are of similar length, and padded no larger than a run may be', () => {
    const parts = splitIntoParts(examples(40, 8, 10, 40, 9, 38), 80, 1);
    expect(lengthsOf(parts)).toEqual([[8, 9, 10], [38, 40], [40]]);
  });

  it('are as many for every lane, and even, where one run would do', () => {
    expect(lengthsOf(splitIntoParts(examples(10, 10, 10, 10), 256, 2))).toEqual([
      [10, 10],
      [10, 10],
    ]);
    const parts = splitIntoParts(examples(...new Array<number>(32).fill(40)), 256, 2);
    expect(parts.map(({ length }) => length)).toEqual([6, 6, 6, 6, 6, 2]);
  });

  it('are one example each where there are fewer than lanes', () => {
    expect(lengthsOf(splitIntoParts(examples(12, 7), 256, 4))).toEqual([[7], [12]]);
  });

  it('hold a text alone that is longer than a run may be', () => {
    expect(lengthsOf(splitIntoParts(examples(300, 5, 310), 256, 1))).toEqual([[5], [300], [310]]);
  });

  it('are padded to their longest text', () => {
    expect(padToLongest(examples(3, 1))).toEqual({
      rows: 2,
      length: 3,
      inputIds: Int32Array.of(0, 1, 2, 10, 0, 0),
      attentionMask: Float32Array.of(1, 1, 1, 1, 0, 0),
    });
  });
});
