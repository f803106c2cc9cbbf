import { describe, expect, it } from 'vitest';
import { Random } from '../../../../gpu-node/random.ts';
import { MAX_LINE_BYTES } from '../../../../shared/api/datasets.ts';
import { ingestDataset } from '../../../../shared/dataset/dataset.ts';
import { encode, ingest, refusal } from '../../../support/ingest.ts';
import { concat, cut } from '../../../support/multipart-body.ts';

const EXPECTED = [
  { text: 'plain', label: 'ham' },
  { text: 'two\nlines, "quoted"', label: 'spam' },
  { text: '你好 🎉 שלום \u0000 end', label: '7' },
];
const CSV = `id,label,text\n1,ham,plain\n2,spam,"two\nlines, ""quoted"""\n3,7,你好 🎉 שלום \u0000 end\n`;
const FILES: Record<string, string> = {
  csv: CSV,
  'csv in quotes with spaces in its header': `"id"," Label ","TEXT"\n"1","ham","plain"\n"2",${CSV.split('2,')[1]}`,
  tsv: `label\ttext\nham\tplain\nspam\t"two\nlines, ""quoted"""\n7\t你好 🎉 שלום \u0000 end\n`,
  jsonl: `{"text":"plain","label":"ham","id":1}\n{"label":"spam","text":"two\\nlines, \\"quoted\\""}\n\n{"text":"你好 🎉 שלום \\u0000 end","label":7}\n`,
};

describe('ingestDataset', () => {
  describe.each(Object.entries(FILES))('given %s', (_, file) => {
    it.each([
      ['as it is', file],
      ['with a byte order mark', `\ufeff${file}`],
      ['without a last line end', file.slice(0, -1)],
      ['after blank lines', `\n\n${file}`],
    ])('reads it %s', async (_how, text) => {
      const { rows, examples, labels, warnings } = await ingest(text);
      expect(rows).toEqual(EXPECTED);
      expect([examples, labels]).toEqual([3, { ham: 1, spam: 1, 7: 1 }]);
      expect(warnings).toEqual([expect.stringContaining('a single example')]);
    });

    it('reads it with CRLF line ends', async () => {
      const { rows } = await ingest(file.replaceAll('\n', '\r\n'));
      expect(rows.map((row) => ({ ...row, text: row.text.replaceAll('\r\n', '\n') }))).toEqual(EXPECTED);
    });

    it('reads the same however the network cuts it', async () => {
      const random = new Random(7, 'cuts');
      for (let longest = 1; longest < 40; longest++) {
        const { rows } = await ingest(`\ufeff${file}`, () => 1 + Math.floor(random.uniform() * longest));
        expect(rows).toEqual(EXPECTED);
      }
    });
  });

  it('takes lone quotes in a TSV as text', async () => {
    const { rows } = await ingest('text\tlabel\n5" pipe\ta\n"so" he said\tb\n');
    expect(rows.map((row) => row.text)).toEqual(['5" pipe', '"so" he said']);
  });

  it('names a bad line 4,127 and why', async () => {
    const lines = Array.from({ length: 5000 }, (_, at) => `{"text":"t${at}","label":"${at % 2}"}`);
    lines[4126] = '{"text":"t", "label":}';
    const error = await refusal(lines.join('\n'));
    expect(error.errors).toEqual([{ line: 4127, message: 'not valid JSON' }]);
    expect(error.message).toContain('line 4127');
    lines[4126] = '{"text":"  ","label":"1"}';
    expect((await refusal(lines.join('\r\n'))).errors).toEqual([{ line: 4127, message: 'text is empty' }]);
  });

  it('counts lines in a CSV by the file’s, where its rows begin', async () => {
    const csv = 'text,label\n"a\nb\nc",x\n\n"d\ne",\nf,y\n,z\n';
    expect((await refusal(csv)).errors).toEqual([
      { line: 6, message: 'label is empty' },
      { line: 9, message: 'text is empty' },
    ]);
    expect((await refusal(csv.replaceAll('\n', '\r\n'))).errors?.map((error) => error.line)).toEqual([6, 9]);
  });

  it('quotes the first 20 bad lines and counts all', async () => {
    const error = await refusal(`text,label\n${'x,\n'.repeat(50)}`);
    expect([error.errors?.length, error.errors?.at(-1)?.line, error.totalErrors]).toEqual([20, 21, 50]);
  });

  it('writes no more after a fault that no row after it mends', async () => {
    const stored: Uint8Array[] = [];
    const rows = Array.from({ length: 3000 }, (_, at) => `t,l${at}\n`).join('');
    const sink = { write: async (bytes: Uint8Array) => void stored.push(bytes) };
    const file = cut(encode(`text,label\n${rows}`), () => 1024);
    await expect(ingestDataset(file, sink)).rejects.toThrow('more than 1000 different labels');
    expect(new TextDecoder().decode(concat(stored))).not.toContain('l1001');
  });

  it.each([
    ['{"label":"a"}', 'text is missing'],
    ['null', 'not an object'],
    ['{"text":"a","label":"b"', 'not valid JSON'],
  ])('refuses the row %.60s', async (row, why) => {
    const { errors } = await refusal(`{"text":"first","label":"a"}\n${row}\n`);
    expect(errors).toEqual([{ line: 2, message: expect.stringContaining(why) }]);
  });

  it.each([
    ['an empty file', '', 'empty'],
    ['blank lines', ' \n\r\n\n', 'empty'],
    ['only a byte order mark', '\ufeff', 'empty'],
    ['a header without rows', 'text,label\n', 'no rows'],
  ])('refuses %s', async (_, file, why) => {
    expect((await refusal(file)).message).toContain(why);
  });

  it.each([
    ['text,lable\na,b\n', 'it has "text", "lable"'],
    ['text:label\na:b\n', 'it has "text:label"'],
    ['"text":"label"\n', 'it has "\\"text\\":\\"label\\""'],
    ['a sentence\n', 'it has "a sentence"'],
    ['text,label,Text\na,b,c\n', 'names a column twice'],
    ['\u0000\u0001PK\u0003\n', 'must name the columns'],
  ])('refuses a CSV that begins %j', async (file, why) => {
    expect((await refusal(file)).errors).toEqual([{ line: 1, message: expect.stringContaining(why) }]);
  });

  it.each([
    ['a,b,c\n', '3 fields where the header has 2'],
    ['a\n', '1 fields where the header has 2'],
    ['5" pipe,b\n', 'a quote inside an unquoted field'],
    ['"a"b,c\n"', 'text after a closing quote'],
    ['"never closed,b\nc,d\n', 'never closed'],
  ])('refuses the CSV row %j', async (row, why) => {
    const { errors } = await refusal(`text,label\nok,x\n${row}`);
    expect(errors?.[0]).toEqual({ line: 3, message: expect.stringContaining(why) });
  });

  it('names lines that are not UTF-8, and goes on', async () => {
    const bad = concat([encode('{"text":"'), new Uint8Array([0xc3, 0x28]), encode('","label":"a"}\n')]);
    const good = encode('{"text":"é","label":"a"}\n');
    const { errors } = await refusal(concat([good, bad, good, bad]));
    expect(errors?.map((error) => error.line)).toEqual([2, 4]);
    const csv = concat([encode('text,label\na,b\n'), new Uint8Array([0xff]), encode(',b\nc,b\n')]);
    expect((await refusal(csv)).errors).toEqual([{ line: 3, message: expect.stringContaining('UTF-8') }]);
  });

  it.each([
    ['JSONL', '{"text":"a","label":"b"}\n{"text":"', '","label":"b"}\nbad\n', [2, 3]],
    ['CSV', 'text,label\n', ',b\nbad\n', [2, 3]],
    ['CSV in quotes', 'text,label\n"', '",b\nbad\n', [2, 3]],
  ])('names a 10 MB text’s line in %s', async (_, before, after, lines) => {
    const file = concat([encode(before), new Uint8Array(10 * 1024 * 1024).fill(0x78), encode(after)]);
    const { errors } = await refusal(file);
    expect(errors?.map((error) => error.line)).toEqual(lines);
    expect(errors?.[0]?.message).toContain(`longer than ${MAX_LINE_BYTES} bytes`);
  });

  it('bounds what it stores, which escapes can make longer than the upload', async () => {
    const file = encode(`text,label\n${'\u0000'.repeat(20)}x,a\n`);
    const sink = { write: async () => {} };
    await expect(
      ingestDataset(
        cut(file, () => 64),
        sink,
        { maxStoredBytes: 100 },
      ),
    ).rejects.toThrow('As JSONL the file has more than 100 bytes');
    const { summary } = await ingestDataset(
      cut(file, () => 64),
      sink,
      { maxStoredBytes: 200 },
    );
    expect(summary.examples).toBe(1);
  });

  it('takes a label without its outer blanks, however the file writes it', async () => {
    const jsonl = ['x', ' x', 'x\t'].map((label) => JSON.stringify({ text: 't', label })).join('\n');
    for (const file of [jsonl, 'text,label\nt,x\nt, x\nt,x\u00a0\n', 'text\tlabel\nt\tx\nt\t x\nt\t"x "\n']) {
      const { labels, warnings } = await ingest(file);
      expect(labels).toEqual({ x: 3 });
      expect(warnings).toContain('The label of 2 rows had blanks around it; they are removed.');
    }
  });

  it('counts each spelling of labels that cannot be told apart by eye', async () => {
    const spellings = ['caf\u00e9', 'caf\u00e9', 'cafe\u0301', 'caf\u00e9\u200b'];
    const { labels, warnings } = await ingest(
      `text,label\n${spellings.map((label, i) => `t${i},${label}\n`).join('')}`,
    );
    expect(Object.values(labels)).toEqual([2, 1, 1]);
    expect(warnings.at(-1)).toBe(
      '"café" (2 rows), "cafe\\u0301" (1 row), "café\\u200b" (1 row): these labels look alike, and are kept apart.',
    );
  });

  it('stops at the 1,001st label', async () => {
    const rows = (count: number) => Array.from({ length: count }, (_, at) => `t,l${at}\n`).join('');
    expect(Object.keys((await ingest(`text,label\n${rows(1000)}`)).labels)).toHaveLength(1000);
    const { errors } = await refusal(`text,label\n${rows(1010)}`);
    expect(errors).toEqual([
      { line: 1002, message: expect.stringContaining('more than 1000 different labels') },
    ]);
  });

  it('stops where the labels are too long together, each counted once', async () => {
    const rows = (fill: string, times: number) =>
      Array.from({ length: 1000 * times }, (_, at) => `t,${String(at % 1000).padStart(256, fill)}\n`).join(
        '',
      );
    expect(Object.keys((await ingest(`text,label\n${rows('x', 2)}`)).labels)).toHaveLength(1000);
    const { errors } = await refusal(`text,label\n${rows('ä', 1)}`);
    expect(errors).toEqual([
      {
        line: expect.any(Number),
        message: expect.stringContaining('labels of more than 262000 bytes together'),
      },
    ]);
  });

  it('keeps repeated rows and warns of them, of one label only and of labels that look alike', async () => {
    const { examples, labels, warnings } = await ingest('text,label\na,x\na,x\na,x\na,y\nb, y\nc, Y\nd, Y\n');
    expect(labels).toEqual({ x: 3, y: 2, Y: 2 });
    expect(examples).toBe(7);
    expect(warnings).toEqual([
      '2 rows repeat an earlier text and label; they are kept.',
      '1 row repeats an earlier text with another label.',
      'The label of 3 rows had blanks around it; they are removed.',
      '"y" (2 rows), "Y" (2 rows): these labels look alike, and are kept apart.',
    ]);
    expect((await ingest('text,label\na,x\nb,x\n')).warnings).toEqual([
      expect.stringContaining('Only one label'),
    ]);
  });
});
