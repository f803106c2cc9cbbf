import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readExamples, sortLabels, stratifiedSplit } from '../../../gpu-node/data/dataset.ts';
import { Random } from '../../../gpu-node/random.ts';
import { MAX_LABEL_CHARS, MAX_TEXT_CHARS, readRow } from '../../../shared/api/rows.ts';
import { validationRows } from '../../../shared/auto-values.ts';

describe('reading a dataset', () => {
  let path: string;
  beforeEach(async () => {
    path = join(await mkdtemp(join(tmpdir(), 'weft data ')), 'training.jsonl');
  });
  afterEach(() => rm(join(path, '..'), { recursive: true, force: true }));
  const read = async (text: string) => {
    await writeFile(path, text);
    const rows = [];
    for await (const row of readExamples(path)) rows.push(row);
    return rows;
  };

  it('gives its rows, whatever their line endings', async () => {
    const rows = [
      { text: 'free money', label: 'spam' },
      { text: 'a\u2028b\n"c"\u0000', label: 'ham' },
    ];
    const lines = rows.map((row) => JSON.stringify(row));
    expect(await read(`${lines.join('\n')}\n`)).toEqual(rows);
    expect(await read(lines.join('\r\n'))).toEqual(rows);
    expect(await read(`${lines.join('\n\n')}\n\n`)).toEqual(rows);
  });

  it('puts together rows that come in several chunks', async () => {
    const rows = Array.from({ length: 50 }, (_, i) => ({ text: 'ü😀'.repeat(3000 + i), label: `${i % 2}` }));
    expect(await read(rows.map((row) => JSON.stringify(row)).join('\n'))).toEqual(rows);
  });

  it.each([
    ['{"text":"a","label":"b"}\n{"text"', 'line 2 is not JSON'],
    ['{"text":"a","label":"b"}\n\n{"text":"a"}', 'line 3: label is missing'],
  ])('names the bad line of %j', async (text, message) => {
    await expect(read(text)).rejects.toThrow(message);
    await expect(read(text)).rejects.toThrow(expect.objectContaining({ code: 'invalid_dataset' }));
  });

  it('takes the longest row there may be, also where each of its characters is escaped', async () => {
    const row = { text: '\u0001'.repeat(MAX_TEXT_CHARS), label: `a${'\u0001'.repeat(MAX_LABEL_CHARS - 1)}` };
    expect(readRow(row)).toMatchObject({ value: row });
    expect(await read(`${JSON.stringify(row)}\n`)).toEqual([row]);
  });

  it('gives up on a line without end', async () => {
    await expect(read('x'.repeat(7 * 1024 * 1024))).rejects.toThrow('a line is longer than');
  });
});

describe('the order of labels', () => {
  it('is by name, with numbers by value', () => {
    expect(sortLabels(['10', '9', '1', '9'])).toEqual(['1', '9', '10']);
    expect(sortLabels(['v10', 'v9', 'spam', 'Ham', 'ham'])).toEqual(['Ham', 'ham', 'spam', 'v9', 'v10']);
    expect(sortLabels(['1', '01', '001'])).toEqual(sortLabels(['001', '1', '01']));
  });
});

describe('setting rows aside', () => {
  const rowsOf = (...counts: number[]) =>
    counts.flatMap((count, label) =>
      Array.from({ length: count }, (_, i) => ({ label, name: `${label}/${i}` })),
    );
  const split = (rows: ReturnType<typeof rowsOf>, count: number, seed = 1) =>
    stratifiedSplit(rows, count, new Random(seed, 'split'));
  const countsOf = (rows: ReturnType<typeof rowsOf>) => {
    const groups = Map.groupBy(rows, ({ label }) => label);
    return [...groups.values()].map(({ length }) => length);
  };

  it('decides by the number of rows', () => {
    expect([39, 40, 100, 200, 1000, 50_000].map((rows) => validationRows('auto', rows))).toEqual([
      0, 8, 20, 20, 100, 2000,
    ]);
    expect(validationRows(0.25, 10)).toBe(3);
    expect(validationRows(0, 10_000)).toBe(0);
  });

  it('takes each label in its proportion', () => {
    const { training, validation } = split(rowsOf(700, 200, 100), 100);
    expect(countsOf(validation)).toEqual([70, 20, 10]);
    expect(countsOf(training)).toEqual([630, 180, 90]);
  });

  it('sets aside as many as asked for where the proportions are not whole', () => {
    expect(split(rowsOf(5, 5, 5), 5).validation).toHaveLength(5);
    expect(countsOf(split(rowsOf(33, 33, 34), 10).validation)).toEqual([3, 3, 4]);
  });

  it('leaves every label a row to train on', () => {
    expect(countsOf(split(rowsOf(2, 100), 51).training)[0]).toBeGreaterThan(0);
    expect(split(rowsOf(1, 1), 1).validation).toEqual([]);
    expect(countsOf(split(rowsOf(2, 2), 4).training)).toEqual([1, 1]);
  });

  it('draws from the seed, and keeps the order of the rows', () => {
    const rows = rowsOf(50, 50);
    expect(split(rows, 20)).toEqual(split(rows, 20));
    expect(split(rows, 20)).not.toEqual(split(rows, 20, 2));
    const { training, validation } = split(rows, 20);
    expect([...training, ...validation].sort((a, b) => rows.indexOf(a) - rows.indexOf(b))).toEqual(rows);
    expect(training).toEqual(rows.filter((row) => training.includes(row)));
  });

  it('sets nothing aside of nothing', () => {
    expect(split([], 0)).toEqual({ training: [], validation: [] });
  });
});
