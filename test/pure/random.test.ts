import { describe, expect, it } from 'vitest';
import { Random } from '../../gpu-node/random.ts';

describe('Random', () => {
  it('repeats itself for an equal seed and stream, and only then', () => {
    const draw = (seed: number, stream: string) => {
      const random = new Random(seed, stream);
      return Array.from({ length: 8 }, () => random.uint32());
    };
    expect(draw(42, 'init')).toEqual(draw(42, 'init'));
    expect(draw(42, 'init')).not.toEqual(draw(43, 'init'));
    expect(draw(42, 'init')).not.toEqual(draw(42, 'order'));
  });

  it('goes on from where another was', () => {
    const first = new Random(42, 'order');
    for (let i = 0; i < 5; i++) first.uint32();
    const second = new Random(1, 'else');
    second.restore(first.state);
    const draws = (random: Random) => Array.from({ length: 8 }, () => random.uint32());
    expect(draws(second)).toEqual(draws(first));
  });

  it('draws standard normal numbers', () => {
    const random = new Random(1, 'normal');
    const draws = Array.from({ length: 20_000 }, () => random.normal());
    const mean = draws.reduce((sum, x) => sum + x, 0) / draws.length;
    const variance = draws.reduce((sum, x) => sum + (x - mean) ** 2, 0) / draws.length;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
  });

  it('spreads uniform numbers evenly over the interval', () => {
    const random = new Random(2, 'uniform');
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 20_000; i++) counts[Math.floor(random.uniform() * 10)]! += 1;
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(200);
  });

  it('shuffles without losing anything', () => {
    const shuffled = new Random(3, 'order').shuffle([...Array(100).keys()]);
    expect(shuffled).not.toEqual([...Array(100).keys()]);
    expect([...shuffled].sort((a, b) => a - b)).toEqual([...Array(100).keys()]);
  });
});
