import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadAdapter } from '../../../gpu-node/methods/index.ts';
import { matchTargets } from '../../../gpu-node/methods/targets.ts';
import type { BaseModel } from '../../../gpu-node/models/model.ts';
import { type BaseModelSource, openBaseModel } from '../../../gpu-node/models/open-base-model.ts';
import { bytesIn } from '../../../gpu-node/parts/part.ts';
import { Random } from '../../../gpu-node/random.ts';
import { Forward, type ForwardRow } from '../../../gpu-node/serve/forward.ts';
import { readAdapterFiles } from '../../../gpu-node/weights/adapter-file.ts';
import { type BundleShape, randomBundle } from '../../support/bundles.ts';
import { TINY_BERT } from '../../support/tiny-bert.ts';

const TARGETS = ['query', 'value'];
let base: BaseModel;
let folder: string;
let source: BaseModelSource;
let forward: Forward;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-forward-'));
  source = { id: 'tiny-bert', folder: TINY_BERT, sha256: '0'.repeat(64), weightsFolder: folder };
  base = await openBaseModel(source);
  forward = await create(32);
});
afterAll(async () => {
  await forward.release();
  await rm(folder, { recursive: true });
});

function create(slots: number): Promise<Forward> {
  const layers = matchTargets(TARGETS, base.architecture.linears('cls'));
  const plan = { lowRank: layers.map(({ name }) => name) };
  return Forward.create({ base, plan, slots, device: 'cpu', threads: 2 });
}

async function load(into: Forward, name: string, shape: BundleShape): Promise<void> {
  const { description, weights, weft } = readAdapterFiles(
    randomBundle(base, source, shape),
    { id: source.id, sha256: source.sha256, family: 'bert', hidden_size: 32, num_layers: 2, max_length: 64 },
    name,
  );
  into.load(name, await loadAdapter(description, bytesIn(weights), base), weft.pooling);
}

const random = new Random(7, 'ids');
function row(adapter: string | null, length: number): ForwardRow {
  return { adapter, ids: Int32Array.from({ length }, () => 5 + (random.uint32() % 190)) };
}

function expectClose(actual: readonly Float32Array[], expected: readonly Float32Array[]): void {
  expect(actual.map((logits) => logits.length)).toEqual(expected.map((logits) => logits.length));
  actual.forEach((logits, i) => {
    logits.forEach((logit, j) => {
      expect(Math.abs(logit - expected[i]![j]!)).toBeLessThan(1e-5 * Math.max(1, Math.abs(logit)));
    });
  });
}

/** Each row in a run of its own, in a session that knows only its adapter. */
async function oneByOne(rows: readonly ForwardRow[], shapes: ReadonlyMap<string, BundleShape>) {
  const results: Float32Array[] = [];
  for (const each of rows) {
    const alone = await create(1);
    await load(alone, each.adapter!, shapes.get(each.adapter!)!);
    results.push(...(await alone.run([each])));
    await alone.release();
  }
  return results;
}

describe('a mixed batch', () => {
  it('of 32 rows on 32 adapters of different ranks, label counts and poolings is one run', async () => {
    const rows: ForwardRow[] = [];
    const shapes = new Map<string, BundleShape>();
    for (let i = 0; i < 32; i++) {
      const shape: BundleShape = {
        seed: i,
        r: 1 + (i % 12),
        labels: 2 + (i % 9),
        pooling: i % 3 ? 'mean' : 'cls',
      };
      shapes.set(`adapter ${i}`, shape);
      await load(forward, `adapter ${i}`, shape);
      rows.push(row(`adapter ${i}`, 3 + i));
    }
    const before = forward.runs;
    const mixed = await forward.run(rows);
    expect(forward.runs - before).toBe(1);
    expect(mixed.map((logits) => logits.length)).toEqual(rows.map((_, i) => 2 + (i % 9)));
    expectClose(mixed.slice(0, 8), await oneByOne(rows.slice(0, 8), shapes));
  });

  it('gives every row the same logits whatever its neighbours, and whatever is evicted', async () => {
    const small = await create(3);
    const shapes = ['a', 'b', 'c', 'd', 'e'].map((name, i) => [name, { seed: 100 + i, r: 2 + i }] as const);
    for (const [name, shape] of shapes) await load(small, name, shape);
    const rows = shapes.map(([name], i) => row(name, 4 + i));
    const together = await small.run(rows);
    const again = [];
    for (const each of [...rows].reverse()) again.unshift(...(await small.run([each])));
    expectClose(together, again);
    await small.release();
  });

  it('splits where it mixes more adapters than there are slots', async () => {
    const small = await create(2);
    for (const name of ['a', 'b', 'c', 'd']) await load(small, name, { seed: name.charCodeAt(0) });
    await small.run(['a', 'b', 'c', 'd'].map((name) => row(name, 5)));
    expect(small.runs).toBe(2);
    await small.release();
  });
});

describe('slots', () => {
  it('hold no trace of a larger adapter that was there before', async () => {
    const reused = await create(1);
    const small = { seed: 2, r: 2, labels: 2 };
    const rows = [row('small', 6)];
    await load(reused, 'large', { seed: 1, r: 8, labels: 8 });
    await load(reused, 'small', small);
    await reused.run([row('large', 6)]);
    expectClose(await reused.run(rows), await oneByOne(rows, new Map([['small', small]])));
    await reused.release();
  });

  it('give the base alone where a row names no adapter: logits of zero', async () => {
    await load(forward, 'x', { seed: 3 });
    const [, bare] = await forward.run([row('x', 5), row(null, 5)]);
    expect(bare!.every((logit) => logit === 0)).toBe(true);
  });

  it('take no room, and gather nothing, of a part that no adapter of the run has', async () => {
    const plan = { lowRank: base.architecture.linears('cls').map(({ name }) => name) };
    const idle = await Forward.create({ base, plan, slots: 4, device: 'cpu', threads: 1 });
    expect(await idle.run([row(null, 5), row(null, 3)])).toHaveLength(2);
    expect(idle.bytes).toBe(0);
    const narrow = { seed: 5, r: 2, labels: 2 };
    await load(idle, 'narrow', narrow);
    const rows = [row('narrow', 6)];
    expectClose(await idle.run(rows), await oneByOne(rows, new Map([['narrow', narrow]])));
    await idle.release();
  });

  it('share the memory for stacks by what the parts need: those that take little leave room for those that take much', async () => {
    const linears = base.architecture.linears('mean');
    const all = linears.map(({ name }) => name);
    const slot = linears.reduce((sum, layer) => sum + 8 * 4 * (layer.inFeatures + layer.outFeatures), 0);
    const plan = { lowRank: all, scale: all, reach: all };
    const shared = { base, plan, slots: 8, stackBytes: 12 * slot, device: 'cpu', threads: 1 } as const;
    const four = await Forward.create(shared);
    for (const name of ['a', 'b', 'c', 'd']) await load(four, name, { seed: name.charCodeAt(0) });
    await four.run(['a', 'b', 'c', 'd'].map((name) => row(name, 5)));
    expect(four.runs).toBe(1);
    await four.release();
  });

  it('refuse an adapter that was dropped', async () => {
    await load(forward, 'gone', { seed: 4 });
    await forward.run([row('gone', 5)]);
    forward.drop('gone');
    await expect(forward.run([row('gone', 5)])).rejects.toThrow('adapter gone is not loaded');
  });
});
