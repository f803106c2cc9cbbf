import { describe, expect, it } from 'vitest';
import { lengthBatches } from '../../../gpu-node/data/batches.ts';
import { Random } from '../../../gpu-node/random.ts';

const draw = new Random(1, 'lengths');
const examples = Array.from({ length: 1003 }, (_, name) => ({
  name,
  ids: new Int32Array(3 + draw.below(120)),
}));
const epoch = (seed: number) => lengthBatches(examples, 32, new Random(seed, 'order'));

describe('an epoch', () => {
  it('has every example once, in batches of which only one is short', () => {
    const batches = epoch(1);
    expect(batches).toHaveLength(32);
    expect(batches.filter(({ length }) => length !== 32)).toHaveLength(1);
    const names = batches.flat().map(({ name }) => name);
    expect(names.sort((a, b) => a - b)).toEqual(examples.map(({ name }) => name));
  });

  it('puts texts of similar length together', () => {
    const tokens = examples.reduce((sum, { ids }) => sum + ids.length, 0);
    const padded = epoch(1).reduce(
      (sum, batch) => sum + batch.length * Math.max(...batch.map((e) => e.ids.length)),
      0,
    );
    expect(padded / tokens).toBeLessThan(1.08);
  });

  it('is the same for the same seed, and another one the next time', () => {
    expect(epoch(1)).toEqual(epoch(1));
    expect(epoch(1)).not.toEqual(epoch(2));
    const order = new Random(1, 'order');
    expect(lengthBatches(examples, 32, order)).not.toEqual(lengthBatches(examples, 32, order));
  });

  it('does not go from short to long', () => {
    const lengths = epoch(1).map((batch) => batch[0]!.ids.length);
    expect(lengths).not.toEqual([...lengths].sort((a, b) => a - b));
  });

  it('of few examples is one batch', () => {
    expect(lengthBatches(examples.slice(0, 3), 32, new Random(1, 'order'))).toHaveLength(1);
    expect(lengthBatches([], 32, new Random(1, 'order'))).toEqual([]);
  });
});
