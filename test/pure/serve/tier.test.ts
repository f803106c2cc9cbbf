import { describe, expect, it } from 'vitest';
import { Random } from '../../../gpu-node/random.ts';
import { Tier } from '../../../gpu-node/serve/tier.ts';

describe('Tier', () => {
  it('gives up the least recently used where loading costs nothing but its size', () => {
    const tier = new Tier({ capacity: 10 });
    tier.add('a', 4);
    tier.add('b', 1);
    tier.add('c', 4);
    tier.use('a');
    expect(tier.add('d', 3)).toEqual(['b', 'c']);
    expect([tier.keys, tier.used]).toEqual([['a', 'd'], 7]);
  });

  it('gives up the large one of two that were used alike', () => {
    const tier = new Tier({ capacity: 110, overhead: 50 });
    tier.add('small', 10);
    tier.add('large', 100);
    expect(tier.add('new', 20)).toEqual(['large']);
  });

  it('keeps nothing for good that nobody uses, however small', () => {
    const tier = new Tier({ capacity: 100, overhead: 50 });
    tier.add('small', 1);
    let rounds = 0;
    for (; tier.has('small'); rounds++) tier.add(`large ${rounds}`, 60);
    expect(rounds).toBeLessThan(50);
  });

  it('never gives up what is held, and refuses what does not fit beside it', () => {
    const tier = new Tier({ capacity: 10 });
    tier.add('held', 6);
    tier.add('free', 4);
    const isHeld = (key: string) => key === 'held';
    expect(tier.add('too large', 5, isHeld)).toBeUndefined();
    expect(tier.keys).toEqual(['held', 'free']);
    expect(tier.add('fits', 4, isHeld)).toEqual(['free']);
  });

  it('counts hits, misses and evictions', () => {
    const tier = new Tier({ capacity: 1 });
    for (const key of ['a', 'a', 'b', 'a']) if (!tier.use(key)) tier.add(key, 1);
    tier.delete('a');
    expect(tier.counts).toEqual({ hits: 1, misses: 3, evictions: 2 });
  });

  /** What loading costs over a seeded day of adapters of two sizes, the popular ones asked for most. */
  function simulate(overhead: number): number {
    const random = new Random(11, 'adapters');
    const tier = new Tier({ capacity: 1000, overhead });
    const sizeOf = (adapter: number) => (adapter % 5 === 0 ? 120 : 8);
    let cost = 0;
    for (let i = 0; i < 20_000; i++) {
      const adapter = Math.floor(400 * random.uniform() ** 3);
      const [key, size] = [`${adapter}`, sizeOf(adapter)];
      if (!tier.use(key)) {
        cost += 100 + size;
        tier.add(key, size);
      }
      expect(tier.used).toBeLessThanOrEqual(1000);
    }
    return cost;
  }

  it('spends less on loading than the plain order of use does', () => {
    expect(simulate(100)).toBeLessThan(0.9 * simulate(0));
  });
});
