import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTinyNode, type TinyNode } from '../../support/tiny-node.ts';

let node: TinyNode;
beforeAll(async () => {
  node = await startTinyNode();
});
afterAll(() => node.stop());

it('is run when nobody waits for other rows: what comes later goes before it', async () => {
  const bundle = await node.adapter({ r: 4, labels: 2, seed: 1 });
  const rows = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ bundle, text: `${'a word and another '.repeat(30)} ${i}` }));
  await node.classify({ bundle, text: 'load it' });
  const ended: string[] = [];
  const signal = new AbortController().signal;
  const background = node.classifier
    .classifyInBackground({ rows: rows(256), tenant: 'a' }, signal)
    .then((answer) => {
      ended.push('background');
      return answer;
    });
  const live = Promise.all(
    Array.from({ length: 4 }, () =>
      node.classifier.classify({ rows: rows(64), tenant: 'a' }, signal).then(() => ended.push('live')),
    ),
  );
  await live;
  const { rows: answers } = await background;
  expect(ended).toEqual(['live', 'live', 'live', 'live', 'background']);
  const [one] = (await node.classify(rows(1)[0]!)).rows;
  for (const [i, score] of answers[0]!.scores.entries()) expect(score).toBeCloseTo(one!.scores[i]!, 4);
});
