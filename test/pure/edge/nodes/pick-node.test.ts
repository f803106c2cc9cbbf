import { describe, expect, it } from 'vitest';

import type { LiveNode } from '../../../../edge/base-models.ts';
import { assignNodes, nodesWith, pickNode, rankNodes } from '../../../../edge/nodes/pick-node.ts';

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

describe('an adapter that is hot', () => {
  /** Rows that all ask for one adapter, none of them answered yet. */
  function flood(rows: number): Map<LiveNode, number> {
    const loads = new Map<LiveNode, number>();
    for (let i = 0; i < rows; i++) {
      const node = pickNode(nodes, 'hot', (each) => loads.get(each) ?? 0)!;
      loads.set(node, (loads.get(node) ?? 0) + 1);
    }
    return loads;
  }

  it('stays on its first node while that answers it in a batch', () => {
    expect([...flood(32)]).toEqual([[rankNodes(nodes, 'hot')[0], 32]]);
  });

  it('spreads to the next nodes of its own order, in that order', () => {
    const order = rankNodes(nodes, 'hot');
    for (const rows of [33, 65, 150]) {
      const taken = [...flood(rows).keys()];
      expect(taken).toEqual(order.slice(0, taken.length));
      expect(taken).toHaveLength(Math.ceil(rows / 32));
    }
  });

  it('loads no node with more than a quarter above the mean', () => {
    const loads = [...flood(8000).values()];
    expect(Math.max(...loads)).toBeLessThanOrEqual(1.25 * 1000 + 2);
  });
});

describe('rankNodes', () => {
  it('gives the order in which nodes take over for one another', () => {
    for (const bundle of bundles.slice(0, 200)) {
      let left = nodes;
      for (const node of rankNodes(nodes, bundle)) {
        expect(pickNode(left, bundle)).toBe(node);
        left = left.filter((other) => other !== node);
      }
    }
  });
});

describe('assignNodes', () => {
  const many = Array.from({ length: 40 }, (_, i) => node(`node_${i}`));
  const idle = () => 0;

  it('gives each adapter of a batch its own node', () => {
    const shares = bundles.slice(0, 4).map((bundle) => ({ bundle, rows: 1, candidates: nodes }));
    expect(assignNodes(shares, idle)).toEqual(shares.map(({ bundle }) => pickNode(nodes, bundle)));
  });

  it('spreads over at most six nodes, those of the most rows, each adapter to the first of them in its order', () => {
    const shares = bundles
      .slice(0, 60)
      .map((bundle, i) => ({ bundle, rows: i < 6 ? 20 : 1, candidates: many }));
    const picked = assignNodes(shares, idle);
    const used = [...new Set(picked)] as LiveNode[];
    expect(used).toHaveLength(6);
    for (const [i, { bundle }] of shares.entries()) expect(picked[i]).toBe(pickNode(used, bundle));
    for (const i of [0, 1, 2, 3, 4, 5]) expect(picked[i]).toBe(pickNode(many, bundles[i]!));
  });

  it('leaves an adapter that none of the six can answer to its own node', () => {
    const shares = bundles
      .slice(0, 60)
      .map((bundle) => ({ bundle, rows: 2, candidates: many as readonly LiveNode[] }));
    const lone = node('lone', ['other']);
    const picked = assignNodes([...shares, { bundle: 'x', rows: 1, candidates: [lone] }], idle);
    expect(picked.at(-1)).toBe(lone);
    expect(new Set(picked).size).toBe(7);
  });

  it('gives none where no node can', () => {
    expect(assignNodes([{ bundle: 'x', rows: 1, candidates: [] }], idle)).toEqual([undefined]);
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
