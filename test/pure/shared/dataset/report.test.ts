import { describe, expect, it } from 'vitest';
import { Random } from '../../../../gpu-node/random.ts';
import { MAX_PROBLEMS_BYTES } from '../../../../shared/api/datasets.ts';
import { ingestDataset } from '../../../../shared/dataset/dataset.ts';
import { findLeaks } from '../../../../shared/dataset/leaks.ts';
import { TextTable } from '../../../../shared/dataset/text-table.ts';
import { encode, ingest } from '../../../support/ingest.ts';
import { concat, cut } from '../../../support/multipart-body.ts';

const reportOf = async (file: string, nextLength?: () => number) =>
  (await ingest(file, nextLength, 'skip')).report;
const jsonl = (rows: [text: string, label: string][]) =>
  rows.map(([text, label]) => `${JSON.stringify({ text, label })}\n`).join('');

describe('the report of a dataset', () => {
  it('counts the rows, and names what repeats, by the file’s lines', async () => {
    const { rows, duplicates, contradictions, is_complete } = await reportOf(
      'text,label\na,x\n"b\nb",y\na,x\n,x\nc,x\na,x\nc,y\nc,z\nA,x\n',
    );
    expect([rows, is_complete]).toEqual([8, true]);
    expect(duplicates).toEqual({ rows: 2, lines: [5, 8] });
    expect(contradictions).toEqual({
      texts: 1,
      rows: 3,
      examples: [
        {
          text: 'c',
          labels: [
            { label: 'x', line: 7 },
            { label: 'y', line: 9 },
            { label: 'z', line: 10 },
          ],
        },
      ],
    });
  });

  it('is the same however the network cuts the file', async () => {
    const random = new Random(2, 'rows');
    const rows = Array.from({ length: 3000 }, (): [string, string] => [
      'word '.repeat(1 + Math.floor(random.uniform() * 30)) + Math.floor(random.uniform() * 500),
      `l${Math.floor(random.uniform() * 3)}`,
    ]);
    const whole = await reportOf(jsonl(rows));
    expect(await reportOf(jsonl(rows), () => 1 + Math.floor(random.uniform() * 900))).toEqual(whole);
    // The same counts by plain means.
    const labelsOf = Map.groupBy(rows, ([text]) => text);
    const several = [...labelsOf.values()].filter(
      (group) => new Set(group.map(([, label]) => label)).size > 1,
    );
    expect(whole.contradictions).toMatchObject({ texts: several.length, rows: several.flat().length });
    expect(whole.contradictions.examples).toHaveLength(20);
  });

  it('groups labels that only look different, with their rows', async () => {
    const { near_twin_labels } = await reportOf(
      'text,label\na,Spam\nb,spam\nc,spam\nd,caf\u00e9\ne,cafe\u0301\nf,ham\n',
    );
    expect(near_twin_labels).toEqual([
      [
        { label: 'Spam', rows: 1 },
        { label: 'spam', rows: 2 },
      ],
      [
        { label: 'caf\u00e9', rows: 1 },
        { label: 'cafe\u0301', rows: 1 },
      ],
    ]);
  });

  it('names rows of more words than any base model reads', async () => {
    const words = (count: number) => 'a '.repeat(count - 1).concat('a');
    const { too_long } = await reportOf(
      jsonl([
        ['short', 'x'],
        [words(510), 'x'],
        [words(511), 'y'],
        ['a'.repeat(5000), 'y'],
      ]),
    );
    expect(too_long).toEqual({ tokens: 512, rows: 1, lines: [3] });
  });

  it('names the lengths, and rows that are far from them', async () => {
    const rows = Array.from({ length: 400 }, (_, i): [string, string] => ['x'.repeat(60 + (i % 80)), 'a']);
    rows[7] = ['x', 'a'];
    rows[300] = ['x'.repeat(5000), 'a'];
    const { lengths } = await reportOf(jsonl(rows));
    expect(lengths).toMatchObject({ shortest: 1, longest: 5000 });
    expect(Math.abs(lengths.median - 100)).toBeLessThan(10);
    expect(lengths.unusually_short).toMatchObject({ rows: 1, lines: [8] });
    expect(lengths.unusually_long).toMatchObject({ rows: 1, lines: [301] });
    expect(lengths.unusually_short.below).toBeLessThan(60);
    expect(lengths.unusually_long.above).toBeGreaterThan(140);
  });

  it('finds no length unusual among a few rows, or among equal ones', async () => {
    for (const rows of [[1, 1000], Array.from({ length: 50 }, () => 30)]) {
      const { lengths } = await reportOf(jsonl(rows.map((length) => ['x'.repeat(length), 'a'])));
      expect([lengths.unusually_short.rows, lengths.unusually_long.rows]).toEqual([0, 0]);
    }
  });

  it('shows at most 20 of each kind, and no more of a text or label than is needed', async () => {
    const rows = Array.from({ length: 100 }, (_, i): [string, string] => [
      `${i % 50} ${'é🎉'.repeat(5000)}`,
      `l${i}`,
    ]);
    const report = await reportOf(jsonl([...rows, ...rows]));
    expect(report.contradictions).toMatchObject({ texts: 50, rows: 200 });
    expect(report.contradictions.examples).toHaveLength(20);
    expect(JSON.stringify(report).length).toBeLessThan(20_000);
    expect(report.contradictions.examples[0]!.text).toMatch(/^0 é🎉.*…$/u);
    expect(report.contradictions.examples[0]!.text.isWellFormed()).toBe(true);
  });
});

describe('the table of texts', () => {
  it('finds every text again while it grows, and says when it is full', () => {
    const table = new TextTable();
    for (let i = 0; i < 838_861; i++) table.add(`text ${i}`, i + 1, i % 1000);
    expect(table.isComplete).toBe(true);
    for (const i of [0, 1, 1000, 500_000, 838_860]) {
      const slot = table.slotOf(`text ${i}`)!;
      expect([table.lineAt(slot), table.labelAt(slot), table.countAt(slot)]).toEqual([i + 1, i % 1000, 1]);
    }
    expect(table.slotOf('another')).toBeUndefined();
    expect(table.add('another', 9, 0)).toBeUndefined();
    expect(table.isComplete).toBe(false);
    expect(table.add('text 7', 9, 0)).toMatchObject({ isNew: false });
  });
});

describe('rows of the validation file that are trained on', () => {
  it('are counted, and named by the lines of its content', async () => {
    const training = jsonl([
      ['a', 'x'],
      ['b', 'y'],
      ['c\nd', 'x'],
    ]);
    const validation = jsonl([
      ['q', 'x'],
      ['c\nd', 'y'],
      ['b', 'y'],
      ['b', 'y'],
      ['B', 'y'],
    ]);
    const chunks = (text: string) => cut(encode(text), () => 5);
    expect(await findLeaks(chunks(training), chunks(validation))).toEqual({
      rows: 3,
      lines: [2, 3],
      isComplete: true,
    });
    expect(await findLeaks(chunks(training), chunks(''))).toEqual({ rows: 0, lines: [], isComplete: true });
  });
});

describe('the list of bad rows', () => {
  async function problemsOf(file: string) {
    const problems: Uint8Array[] = [];
    const ingested = ingestDataset(
      cut(encode(file), () => 65536),
      { write: async () => {} },
      {
        problems: { write: async (bytes) => void problems.push(bytes) },
      },
    );
    await ingested.catch(() => {});
    return new TextDecoder().decode(concat(problems));
  }

  it('has all of them with their reasons, whatever becomes of the file', async () => {
    const lines = (await problemsOf(`text,label\na,x\n${',x\n'.repeat(400)}b,\n"c`)).split('\n');
    expect(lines.pop()).toBe('');
    expect(lines).toHaveLength(402);
    expect(JSON.parse(lines[0]!)).toEqual({ line: 3, message: 'text is empty' });
    expect(JSON.parse(lines[400]!)).toEqual({ line: 403, message: 'label is empty' });
    expect(JSON.parse(lines[401]!)).toEqual({
      line: 404,
      message: 'the quote that opens here is never closed',
    });
  });

  it('ends with a whole line at its limit', async () => {
    const list = await problemsOf(`text,label\n${',x\n'.repeat(500_000)}`);
    expect(list.length).toBeLessThanOrEqual(MAX_PROBLEMS_BYTES);
    expect(list.length).toBeGreaterThan(MAX_PROBLEMS_BYTES - 100);
    expect(list.endsWith('"}\n')).toBe(true);
  });

  it('is empty for a sound file', async () => {
    expect(await problemsOf('text,label\na,x\nb,y\n')).toBe('');
  });
});
