import { describe, expect, it } from 'vitest';
import { Random } from '../../../gpu-node/random.ts';
import { Batcher, type QueuedRow } from '../../../gpu-node/serve/batcher.ts';

interface Row extends QueuedRow {
  name: string;
}

function row(name: string, length: number, options: Partial<QueuedRow> = {}): Row {
  return { name, group: 'g', adapter: 'a', length, abandoned: () => false, ...options };
}

function batcherOf(rows: Row[], limits = { tokens: 4096, adapters: 64 }): Batcher<Row> {
  const batcher = new Batcher<Row>(limits);
  for (const each of rows) batcher.add(each);
  return batcher;
}

const names = (rows: Row[]) => rows.map(({ name }) => name).join('');

describe('Batcher', () => {
  it('puts 32 rows of 32 adapters into one batch, in order of arrival', () => {
    const rows = Array.from({ length: 32 }, (_, i) => row(`${i}`, 5 + i, { adapter: `adapter ${i}` }));
    expect(batcherOf(rows).take('g')).toEqual(rows);
  });

  it('never exceeds the padded tokens, and hands out every row once', () => {
    const random = new Random(1, 'lengths');
    const rows = Array.from({ length: 300 }, (_, i) => row(`${i} `, 1 + (random.uint32() % 512)));
    const batcher = batcherOf(rows, { tokens: 2048, adapters: 8 });
    const seen: string[] = [];
    for (let batch = batcher.take('g'); batch.length > 0; batch = batcher.take('g')) {
      expect(batch.length * Math.max(...batch.map((r) => r.length))).toBeLessThanOrEqual(2048);
      seen.push(...batch.map((r) => r.name));
    }
    expect(seen.sort()).toEqual(rows.map((r) => r.name).sort());
    expect(batcher.size).toBe(0);
  });

  it('keeps a long row from padding many short ones', () => {
    const batcher = batcherOf([row('L', 512), ...[...'abcdefgh'].map((name) => row(name, 8))]);
    expect(names(batcher.take('g'))).toBe('L');
    expect(names(batcher.take('g'))).toBe('abcdefgh');
  });

  it('runs the oldest row first, however many of another length arrive', () => {
    const batcher = batcherOf([row('L', 512), ...Array.from({ length: 100 }, () => row('s', 8))]);
    expect(names(batcher.take('g'))).toBe('L');
  });

  it('runs a row longer than the budget alone', () => {
    const batcher = batcherOf([row('L', 600), row('M', 600)], { tokens: 512, adapters: 8 });
    expect(names(batcher.take('g'))).toBe('L');
    expect(names(batcher.take('g'))).toBe('M');
  });

  it('mixes no more adapters than there are slots', () => {
    const rows = [...'aabbcc'].map((adapter) => row(adapter, 8, { adapter }));
    const batcher = batcherOf(rows, { tokens: 4096, adapters: 2 });
    expect(names(batcher.take('g'))).toBe('aabb');
    expect(names(batcher.take('g'))).toBe('cc');
  });

  it('drops rows that nobody waits for', () => {
    let gone = false;
    const batcher = batcherOf([row('a', 8, { abandoned: () => gone }), row('b', 8)]);
    gone = true;
    expect(names(batcher.take('g'))).toBe('b');
    expect(batcher.size).toBe(0);
  });

  it('never mixes groups', () => {
    const batcher = batcherOf([row('a', 8, { group: 'x' }), row('b', 8, { group: 'y' })]);
    expect(names(batcher.take('y'))).toBe('b');
    expect(names(batcher.take('x'))).toBe('a');
  });
});
