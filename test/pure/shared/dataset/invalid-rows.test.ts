import { describe, expect, it } from 'vitest';
import { encode, ingest } from '../../../support/ingest.ts';
import { concat } from '../../../support/multipart-body.ts';

const skip = (file: string | Uint8Array, nextLength = () => 65536) => ingest(file, nextLength, 'skip');

describe('invalid rows', () => {
  const csv = `text,label\n${Array.from({ length: 9000 }, (_, at) => `t${at},${at % 2}\n`).join('')}`;
  const blank = [10, 700, 701, 4000, 8000, 8999, 9001];
  const withBlanks = blank.reduce((lines, line) => lines.with(line - 1, ' ,1'), csv.split('\n')).join('\n');

  it('refuse a file, which says how to leave them out', async () => {
    await expect(ingest(withBlanks)).rejects.toMatchObject({
      message:
        'The file has 7 bad lines; line 10: text is empty. Mend what is wrong, or send invalid_rows=skip to leave such rows out.',
      totalErrors: 7,
    });
  });

  it('are left out where that is wanted, and counted', async () => {
    for (const longest of [100, 65536]) {
      const { rows, examples, labels, skipped, warnings } = await skip(withBlanks, () => longest);
      expect([examples, rows.length]).toEqual([8993, 8993]);
      expect(labels[0]! + labels[1]!).toBe(8993);
      expect(skipped).toEqual({ count: 7, lines: blank });
      expect(warnings).toEqual(['7 invalid rows are left out; line 10: text is empty.']);
    }
  });

  it('are of every kind that a line holds alone', async () => {
    const jsonl = [
      '{"text":"a","label":"x"}',
      '{"text":',
      '3',
      '{"text":"\\ud800","label":"x"}',
      '{"text":"b"}',
    ];
    expect((await skip(jsonl.join('\n'))).skipped).toEqual({ count: 4, lines: [2, 3, 4, 5] });
    const { rows, skipped } = await skip('text,label\na,x\nb\nc,x,y\nd"e,x\n"f"g,x\n,x\nh,\ni,y\n');
    expect(rows.map(({ text }) => text)).toEqual(['a', 'i']);
    expect(skipped).toEqual({ count: 6, lines: [3, 4, 5, 6, 7, 8] });
  });

  it('show the first 20 lines of many', async () => {
    const { skipped } = await skip(`text,label\na,x\n${',x\n'.repeat(50)}`);
    expect([skipped.count, skipped.lines.length, skipped.lines.at(-1)]).toEqual([50, 20, 22]);
  });

  it('beyond a million end the file, whose rest would only cost time', async () => {
    for (const file of [`text,label\na,x\n${',x\n'.repeat(1_200_000)}`, `[${'3,'.repeat(1_200_000)}3]`]) {
      await expect(skip(file)).rejects.toMatchObject({
        totalErrors: 1_000_000,
        message: expect.stringContaining('the last of a million bad rows'),
      });
    }
  });

  it('are none in a sound file', async () => {
    expect((await skip('text,label\na,x\n')).skipped).toEqual({ count: 0, lines: [] });
  });

  it.each([
    ['no row is left', 'text,label\n,x\na,\n', 'line 2: text is empty. No row is left.'],
    ['there are no rows', 'text,label\n', 'no rows'],
    ['the header lacks the columns', 'text,lable\na,x\n', 'must name the columns'],
    ['a quote swallows what follows', 'text,label\na,x\nb,\n"c,x\nd,x\ne,x\n', 'line 4: the quote'],
    ['a quote swallows some rows', 'text,label\na,x\nb,\n"c,x\nd,x\n"e",x\nf,x\n', 'line 4: the quote'],
    ['a quote swallows rows into a field too many', 'text,label\na,x\n"c\nd","x",y\n', 'line 3: 3 fields'],
    [
      'a bad byte stands in a row of several lines',
      concat([encode('text,label\na,x\n"c\n'), Uint8Array.of(0xff), encode('d",x\ne,x\n')]),
      'line 3: not valid UTF-8',
    ],
    [
      'the label’s column is another',
      `text,label\n${csv.replaceAll(/(\d+),\d/g, '$1,$1')}`,
      'more than 1000',
    ],
    ['JSON is spread over lines', '{\n"text":"a",\n"label":"x"\n}\n', 'line 1: not valid JSON'],
  ] as const)('refuse a file all the same where %s', async (_, file, why) => {
    await expect(skip(file)).rejects.toThrow(why);
  });
});
