import { expect, it } from 'vitest';
import { costs } from '../../../bench/simulate/costs.ts';
import { SimulatedNode } from '../../../bench/simulate/node.ts';
import { zipf } from '../../../bench/simulate/zipf.ts';
import { Random } from '../../../gpu-node/random.ts';

it("draws by Zipf's law: the first rank twice as often as the second, a tenth as often the tenth", () => {
  const draw = zipf(1000, 1);
  const random = new Random(1, 'zipf');
  const counts = new Map<number, number>();
  for (let i = 0; i < 100_000; i++) {
    const rank = draw(random);
    counts.set(rank, (counts.get(rank) ?? 0) + 1);
  }
  // 1 / H(1000) is 0.1336; three standard deviations are 320 of the first, 104 of the tenth.
  expect(Math.abs(counts.get(0)! - 13_360)).toBeLessThan(320);
  expect(Math.abs(counts.get(1)! - 6_680)).toBeLessThan(240);
  expect(Math.abs(counts.get(9)! - 1_336)).toBeLessThan(110);
  expect(Math.max(...counts.keys())).toBeLessThan(1000);
});

it('lets the adapter go from a full node that was used longest ago, to its disk', () => {
  const node = new SimulatedNode(2);
  const tiers = ['a', 'b', 'a', 'c', 'b', 'c'].map((adapter) => node.answer(adapter, 0).tier);
  expect(tiers).toEqual([null, null, 'slot', null, 'disk', 'slot']);
});

it('answers texts one after another', () => {
  const node = new SimulatedNode(2);
  node.answer('a', 0);
  const [second, third] = [node.answer('a', 0).doneAt, node.answer('a', 0).doneAt];
  expect(third - second).toBeCloseTo(second / 2);
  expect([node.waiting(0), node.waiting(third)]).toEqual([3, 0]);
});

it('costs by the prices of Workers Paid', () => {
  const idle = { requests: 1, resolutions: 0, downloads: 0 };
  // 2.592 G requests and 2 ms of processor each: $774.60 + $103.08, and the subscription.
  expect(costs(idle, { rate: 1000, nodes: 0 })['a month']).toContain('$883:');
  const busy = costs({ requests: 100, resolutions: 50, downloads: 10 }, { rate: 1000, nodes: 100 });
  expect(busy).toMatchObject({ 'D1 queries': '0.800, 800 a second', 'R2 reads': '0.300' });
});
