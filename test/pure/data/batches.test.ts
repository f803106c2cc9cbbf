import { describe, expect, it } from 'vitest';
import { lengthBatches } from '../../../gpu-node/data/batches.ts';
import { Random } from '../../../gpu-node/random.ts';

const draw = new Random(1, 'lengths');
const lengths = Uint16Array.from({ length: 1003 }, () => 3 + draw.below(120));
const epoch = (seed: number) => lengthBatches(lengths, 32, new Random(seed, 'order'));

describe('an epoch', () => {
  it('has every example once, in batches of which only one is short', () => {
    const batches = epoch(1);
    expect(batches).toHaveLength(32);
    expect(batches.filter(({ length }) => length !== 32)).toHaveLength(1);
    const numbers = batches.flat().sort((a, b) => a - b);
    expect(numbers).toEqual([...lengths.keys()]);
  });

  it('puts texts of similar length together', () => {
    const tokens = lengths.reduce((sum, length) => sum + length, 0);
    const padded = epoch(1).reduce(
      (sum, batch) => sum + batch.length * Math.max(...batch.map((example) => lengths[example]!)),
      0,
    );
    expect(padded / tokens).toBeLessThan(1.08);
  });

  it('is the same for the same seed, and another one the next time', () => {
    expect(epoch(1)).toEqual(epoch(1));
    expect(epoch(1)).not.toEqual(epoch(2));
    const order = new Random(1, 'order');
    expect(lengthBatches(lengths, 32, order)).not.toEqual(lengthBatches(lengths, 32, order));
  });

  it('does not go from short to long', () => {
    const shortest = epoch(1).map((batch) => lengths[batch[0]!]!);
    expect(shortest).not.toEqual([...shortest].sort((a, b) => a - b));
  });

  it('of few examples is one batch', () => {
    expect(lengthBatches(lengths.slice(0, 3), 32, new Random(1, 'order'))).toHaveLength(1);
    expect(lengthBatches([], 32, new Random(1, 'order'))).toEqual([]);
  });
});
