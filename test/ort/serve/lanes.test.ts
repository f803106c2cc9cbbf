import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTinyNode, type TinyNode } from '../../support/tiny-node.ts';

let node: TinyNode;
beforeAll(async () => {
  node = await startTinyNode({ threads: 2 });
});
afterAll(() => node.stop());

it('two threads are two lanes that share what waits, and every text gets the scores that it gets alone', async () => {
  const bundles = await Promise.all([1, 2, 3].map((seed) => node.adapter({ seed, labels: 1 + seed })));
  const rows = Array.from({ length: 24 }, (_, i) => ({
    bundle: bundles[i % bundles.length]!,
    text: `text ${'long '.repeat(i)}of number ${i}`,
  }));
  await node.classify(rows[0]!);
  const before = node.classifier.metrics.runs;
  const together = await node.classify(...rows);
  expect(node.classifier.metrics.runs - before).toBeGreaterThan(1);
  for (const [i, row] of rows.entries()) {
    const [alone] = (await node.classify(row)).rows;
    for (const [label, score] of alone!.scores.entries())
      expect(together.rows[i]!.scores[label]).toBeCloseTo(score, 5);
  }
});

it('an adapter that was deleted is gone from both lanes', async () => {
  const [first, second] = [await node.adapter({ seed: 4 }), await node.adapter({ seed: 5 })];
  const rows = Array.from({ length: 8 }, () => ({ bundle: first, text: 'a text' }));
  await node.classify(...rows);
  expect(await node.metric('adapters_resident', '{tier="slot"}')).toBeGreaterThanOrEqual(2);
  const taken = await node.metric('adapters_resident', '{tier="slot"}');
  await node.classifier.evict([first]);
  await node.classify(...rows.map((row) => ({ ...row, bundle: second })));
  expect(await node.metric('adapters_resident', '{tier="slot"}')).toBe(taken);
});
