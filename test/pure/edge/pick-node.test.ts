import { describe, expect, it } from 'vitest';

import { type LiveNode, nodesWith, pickNode } from '../../../edge/pick-node.ts';

const node = (id: string, models = ['base'], precisions = ['fp32']): LiveNode => ({
  id,
  url: `http://${id}`,
  baseModels: models.map((model) => ({ id: model, sha256: 'a', precisions, maxLength: 512 })),
});
const nodes = Array.from({ length: 8 }, (_, i) => node(`node_${i}`));
const bundles = Array.from({ length: 4000 }, (_, i) => `bundle-${i}`);

describe('pickNode', () => {
  it('gives none of none', () => {
    expect(pickNode([], 'x')).toBeUndefined();
  });

  it('does not depend on the order of the nodes', () => {
    const reversed = nodes.toReversed();
    for (const bundle of bundles.slice(0, 200))
      expect(pickNode(reversed, bundle)).toBe(pickNode(nodes, bundle));
  });

  it('spreads adapters evenly', () => {
    const counts = new Map<string, number>();
    for (const bundle of bundles) {
      const { id } = pickNode(nodes, bundle)!;
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    // 500 expected each, standard deviation 21.
    for (const { id } of nodes) expect(Math.abs((counts.get(id) ?? 0) - 500)).toBeLessThan(110);
  });

  it('moves only the adapters of a node that leaves, and spreads those', () => {
    const left = nodes.slice(1);
    const takers = new Set<string>();
    for (const bundle of bundles) {
      const before = pickNode(nodes, bundle)!;
      const after = pickNode(left, bundle)!;
      if (before === nodes[0]) takers.add(after.id);
      else expect(after).toBe(before);
    }
    expect(takers.size).toBe(7);
  });
});

describe('nodesWith', () => {
  it('wants the very base model, by id and content', () => {
    const mixed = [node('a', ['base', 'big']), node('b', ['big'])];
    const wanted = { baseModel: 'base', basePrecision: 'fp32' };
    expect(nodesWith(mixed, { ...wanted, baseModelSha256: 'a' })).toEqual([mixed[0]]);
    expect(nodesWith(mixed, { ...wanted, baseModelSha256: 'b' })).toEqual([]);
  });

  it('wants it in the precision of the adapter', () => {
    const mixed = [node('a'), node('b', ['base'], ['fp32', 'int8'])];
    const wanted = { baseModel: 'base', baseModelSha256: 'a' };
    expect(nodesWith(mixed, { ...wanted, basePrecision: 'int8' })).toEqual([mixed[1]]);
    expect(nodesWith(mixed, { ...wanted, basePrecision: 'fp32' })).toEqual(mixed);
  });
});
