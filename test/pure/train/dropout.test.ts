import { describe, expect, it } from 'vitest';
import { Random } from '../../../gpu-node/random.ts';
import { DropoutMasks, keepProbability } from '../../../gpu-node/train/dropout.ts';

const masks = [
  { name: 'dropout.0', shape: ['seq', 'batch', 48] },
  { name: 'dropout.1', shape: ['batch', 7] },
  { name: 'dropout.2', shape: [5, 3] },
];
const draw = (keep: number, seed = 1) =>
  new DropoutMasks(masks, keep).draw(16, 20, new Random(seed, 'dropout'));
const share = (data: ArrayLike<number>) => Array.from(data).reduce((sum, bit) => sum + bit, 0) / data.length;

describe('dropout masks', () => {
  it('keep the share asked for, to a 256th', () => {
    const keep = keepProbability(0.1);
    expect(Math.abs(keep - 0.9)).toBeLessThan(1 / 256);
    expect(Math.abs(share(draw(keep)['dropout.0']!.data as Uint8Array) - keep)).toBeLessThan(0.01);
  });

  it('drop nothing at a probability of 0', () => {
    expect(keepProbability(0)).toBe(1);
    expect(share(draw(1)['dropout.0']!.data as Uint8Array)).toBe(1);
  });

  it('have the shape of the batch, per token or per row, or none of its sizes', () => {
    const drawn = draw(0.5);
    expect(drawn['dropout.0']).toMatchObject({ dtype: 'bool', shape: [20, 16, 48] });
    expect(drawn['dropout.1']).toMatchObject({ dtype: 'bool', shape: [16, 7] });
    expect(drawn['dropout.1']!.data).toHaveLength(112);
    expect(drawn['dropout.2']).toMatchObject({ dtype: 'bool', shape: [5, 3] });
  });

  it('differ from draw to draw, and repeat with the seed', () => {
    const both = new DropoutMasks(masks, 0.5);
    const random = new Random(1, 'dropout');
    const first = [...(both.draw(16, 20, random)['dropout.0']!.data as Uint8Array)];
    expect([...(both.draw(16, 20, random)['dropout.0']!.data as Uint8Array)]).not.toEqual(first);
    expect([...(draw(0.5)['dropout.0']!.data as Uint8Array)]).toEqual(first);
  });
});
