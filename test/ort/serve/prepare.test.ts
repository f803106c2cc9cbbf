import { afterEach, beforeEach, expect, it } from 'vitest';
import type { SessionGroup } from '../../../gpu-node/serve/session-group.ts';
import { WEFT_FILE } from '../../../shared/adapter-format.ts';
import { randomBundle } from '../../support/bundles.ts';
import { startTinyNode, type TinyNode } from '../../support/tiny-node.ts';

let node: TinyNode;
beforeEach(async () => {
  node = await startTinyNode();
});
afterEach(() => node.stop());

function usualGroup(): SessionGroup {
  const layers = node.base.architecture.linears('mean').map(({ name }) => name);
  return { base: node.source.id, precision: 'fp32', plan: { lowRank: layers } };
}

it('a node that starts without adapters builds the usual session', async () => {
  await node.classifier.prepare(usualGroup());
  expect([node.classifier.sessions, node.classifier.resident]).toEqual([1, 0]);
});

it('a node that has adapters on disk loads the one used last, and builds its session in place of the usual one', async () => {
  const bundles = [await node.otherAdapter({ seed: 1 }), await node.adapter({ seed: 2 })];
  for (const bundle of bundles) await node.store.read(bundle);
  await node.classifier.prepare(usualGroup());
  expect([node.classifier.sessions, await node.tierOf(bundles[1]!)]).toEqual([1, 'memory']);
  expect(await node.tierOf(bundles[0]!)).toBe('disk');
});

it('a node whose last adapter cannot be served any more says so, and builds the usual session', async () => {
  const files = randomBundle(node.base, node.source, { seed: 3 });
  await node.store.read(await node.shelf.put({ ...files, [WEFT_FILE]: new TextEncoder().encode('{}') }));
  await node.classifier.prepare(usualGroup());
  expect([node.classifier.sessions, node.classifier.resident]).toEqual([1, 0]);
  expect(node.lines.map(({ message }) => message)).toContain(
    'an adapter could not be loaded ahead of its use',
  );
});
