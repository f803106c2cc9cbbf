import { describe, expect, it } from 'vitest';
import { Random } from '../../../gpu-node/random.ts';
import { Batcher, type QueuedRow } from '../../../gpu-node/serve/batcher.ts';

interface Row extends QueuedRow {
  name: string;
}

function row(name: string, cost: number, options: Partial<QueuedRow> = {}): Row {
  return { name, tenant: 't', adapter: 'a', cost, widths: [], abandoned: () => false, ...options };
}

function batcherOf(rows: Row[], limits = { tokens: 4096, adapters: 64 }): Batcher<Row> {
  const batcher = new Batcher<Row>(limits);
  for (const each of rows) batcher.add(each);
  return batcher;
}

const names = (rows: Row[]) => rows.map(({ name }) => name).join('');

describe('Batcher', () => {
  it('puts 32 rows of 32 adapters into one batch, whoever they are for', () => {
    const rows = Array.from({ length: 32 }, (_, i) =>
      row(`${i}`, 31 + (i % 2), { tenant: `tenant ${i % 8}`, adapter: `adapter ${i}` }),
    );
    expect(names(batcherOf(rows).take())).toHaveLength(names(rows).length);
  });

  it('never exceeds the padded tokens, and hands out every row once', () => {
    const random = new Random(1, 'lengths');
    const rows = Array.from({ length: 300 }, (_, i) => row(`${i} `, 1 + (random.uint32() % 512)));
    const batcher = batcherOf(rows, { tokens: 2048, adapters: 8 });
    const seen: string[] = [];
    for (let batch = batcher.take(); batch.length > 0; batch = batcher.take()) {
      expect(batch.length * Math.max(...batch.map((r) => r.cost))).toBeLessThanOrEqual(2048);
      seen.push(...batch.map((r) => r.name));
    }
    expect(seen.sort()).toEqual(rows.map((r) => r.name).sort());
    expect(batcher.size).toBe(0);
  });

  it('pads no batch by more than one run more costs', () => {
    const random = new Random(3, 'lengths');
    const batcher = batcherOf(Array.from({ length: 300 }, () => row('r', 1 + random.below(128))));
    for (let batch = batcher.take(); batch.length > 0; batch = batcher.take()) {
      const costs = batch.map(({ cost }) => cost);
      const tokens = costs.reduce((a, b) => a + b);
      expect(costs.length * Math.max(...costs) - tokens).toBeLessThanOrEqual(16);
    }
  });

  it('parts what waits between the runs that may begin', () => {
    const batcher = batcherOf([...'abcdef'].map((name) => row(name, 8)));
    expect(names(batcher.take(2))).toBe('abc');
    expect(names(batcher.take(1))).toBe('def');
  });

  it('keeps a long row from padding many short ones', () => {
    const batcher = batcherOf([row('L', 512), ...[...'abcdefgh'].map((name) => row(name, 8))]);
    expect(names(batcher.take())).toBe('L');
    expect(names(batcher.take())).toBe('abcdefgh');
  });

  it('runs the oldest row first, however many of another length arrive', () => {
    const batcher = batcherOf([row('L', 512), ...Array.from({ length: 100 }, () => row('s', 8))]);
    expect(names(batcher.take())).toBe('L');
  });

  it('runs a row longer than the budget alone', () => {
    const batcher = batcherOf([row('L', 600), row('M', 600)], { tokens: 512, adapters: 8 });
    expect(names(batcher.take())).toBe('L');
    expect(names(batcher.take())).toBe('M');
  });

  it('mixes no more adapters than there are slots', () => {
    const rows = [...'aabbcc'].map((adapter) => row(adapter, 8, { adapter }));
    const batcher = batcherOf(rows, { tokens: 4096, adapters: 2 });
    expect(names(batcher.take())).toBe('abab');
    expect(names(batcher.take())).toBe('cc');
  });

  it('lets no flood of one tenant keep another waiting: its rows are in the next batch', () => {
    const flood = Array.from({ length: 2000 }, () => row('f', 64, { tenant: 'flood' }));
    const batcher = batcherOf(flood);
    expect(names(batcher.take())).toBe('f'.repeat(64));
    for (const name of 'abc') batcher.add(row(name, 64, { tenant: 'quiet', adapter: 'b' }));
    expect(names(batcher.take()).replaceAll('f', '')).toBe('abc');
  });

  it('gives a flood half a batch while a tenant without a queue is about, and all of it once none has been for long', () => {
    const flood = Array.from({ length: 10_000 }, () => row('f', 64, { tenant: 'flood' }));
    const batcher = batcherOf([...flood, row('q', 64, { tenant: 'quiet' })]);
    expect(batcher.take().some(({ tenant }) => tenant === 'quiet')).toBe(true);
    const sizes = Array.from({ length: 262 }, () => batcher.take().length);
    expect(sizes).toEqual([...Array(257).fill(32), ...Array(5).fill(64)]);
  });

  it('fills batches of a tenant that waits beside others that wait', () => {
    const rows = Array.from({ length: 4000 }, (_, i) =>
      i % 2 ? row('s', 8, { tenant: 'short' }) : row('L', 512, { tenant: 'long' }),
    );
    const batcher = batcherOf(rows);
    const tokens = Array.from({ length: 6 }, () => batcher.take().reduce((sum, { cost }) => sum + cost, 0));
    expect(tokens.reduce((a, b) => a + b)).toBeGreaterThan(0.8 * 6 * 4096);
  });

  it('fills a batch between many tenants, whatever each may have of it', () => {
    const batcher = batcherOf(Array.from({ length: 8 }, (_, i) => row('r', 64, { tenant: `tenant ${i}` })));
    batcher.take();
    for (let i = 0; i < 256; i++) batcher.add(row('r', 64, { tenant: `tenant ${i % 8}` }));
    expect(batcher.take()).toHaveLength(64);
  });

  it('begins with a newcomer of any length, however many rows of another wait', () => {
    const batcher = batcherOf(Array.from({ length: 2000 }, () => row('f', 8, { tenant: 'flood' })));
    batcher.take();
    batcher.add(row('L', 512, { tenant: 'quiet' }));
    expect(names(batcher.take())).toBe('L');
  });

  it("lets no flood on one of a tenant's adapters starve another", () => {
    const batcher = batcherOf(Array.from({ length: 5000 }, () => row('f', 64, { adapter: 'flooded' })));
    batcher.take();
    batcher.add(row('q', 64, { adapter: 'quiet' }));
    let batches = 1;
    while (!names(batcher.take()).includes('q')) batches++;
    expect(batches).toBeLessThanOrEqual(9);
  });

  it('gives two tenants as many tokens each, though one asks for long texts and one for short', () => {
    const random = new Random(2, 'lengths');
    const rows = Array.from({ length: 4000 }, (_, i) =>
      i % 2
        ? row('s', 4 + random.below(12), { tenant: 'short' })
        : row('L', 200 + random.below(200), { tenant: 'long' }),
    );
    const batcher = batcherOf(rows, { tokens: 1024, adapters: 8 });
    const tokens = { s: 0, L: 0 };
    for (let i = 0; i < 40; i++) {
      for (const { name, cost } of batcher.take()) tokens[name as 's' | 'L'] += cost;
    }
    // Apart by no more than the candidates that were passed over, whose turn is next.
    expect(Math.abs(tokens.s - tokens.L)).toBeLessThanOrEqual(8 * 1024);
    expect(tokens.s).toBeGreaterThan(8 * 1024);
  });

  it('drops rows that nobody waits for', () => {
    let gone = false;
    const batcher = batcherOf([row('a', 8, { abandoned: () => gone }), row('b', 8)]);
    gone = true;
    expect(names(batcher.take())).toBe('b');
    expect(batcher.size).toBe(0);
  });
});

describe('rows of different widths', () => {
  const MIB = 1024 * 1024;
  /** Rows of rank 8 and 64 on all layers of a small encoder, in turn. */
  const mixed = (count: number, cost = 16) =>
    Array.from({ length: count }, (_, i) =>
      row(i % 2 ? 'W' : 'n', cost, { adapter: `${i}`, widths: [(i % 2 ? 10 : 1.25) * MIB, MIB] }),
    );

  it('are run apart, as full as they would be together, where many wait', () => {
    const batcher = batcherOf(mixed(32), { tokens: 64, adapters: 64 });
    const batches = Array.from({ length: 8 }, () => names(batcher.take()));
    expect(batches.toSorted()).toEqual([...Array(4).fill('WWWW'), ...Array(4).fill('nnnn')]);
    expect(batcher.size).toBe(0);
  });

  it('begin with the row whose turn it is, so that neither width keeps the other waiting', () => {
    const batcher = batcherOf(mixed(32), { tokens: 64, adapters: 64 });
    expect([0, 1, 2, 3].map(() => names(batcher.take())[0])).toEqual(['n', 'W', 'n', 'W']);
  });

  it('share a run where what the narrow ones carry for the wide ones takes less than one run more', () => {
    const few = [
      row('a', 16, { widths: [MIB] }),
      row('b', 16, { widths: [2 * MIB] }),
      row('c', 16, { widths: [0] }),
    ];
    expect(names(batcherOf(few).take())).toBe('abc');
    expect(names(batcherOf([...few, row('W', 16, { widths: [4 * MIB] })]).take())).toBe('abc');
  });

  it('are measured part by part: two that are wide in different parts carry twice as much', () => {
    const rows = [row('a', 16, { widths: [4 * MIB, 0] }), row('b', 16, { widths: [0, 4 * MIB] })];
    expect(names(batcherOf(rows).take())).toBe('a');
  });
});
