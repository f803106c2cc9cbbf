import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../../gpu-node/random.ts';
import { MAX_LINE_BYTES, MAX_UPLOAD_BYTES } from '../../../../shared/api/datasets.ts';
import { encode, ingest, refusal } from '../../../support/ingest.ts';
import { concat } from '../../../support/multipart-body.ts';

const utf16 = (text: string, isBig = false) => {
  const bytes = new Uint8Array(Buffer.from(text, 'utf16le'));
  return isBig ? new Uint8Array(Buffer.from(bytes).swap16()) : bytes;
};
const latin1 = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));
/** A ZIP archive's first bytes, as far as they name its first file. */
const zip = (name: string, content = '') =>
  concat([
    latin1('PK\x03\x04'),
    new Uint8Array(22),
    latin1(`${String.fromCharCode(name.length)}\0\0\0${name}${content}`),
  ]);

const ROWS = [
  { text: 'a, b; c | d', label: 'x' },
  { text: 'said "so"\nand left', label: 'y' },
  { text: 'שלום 🎉', label: 'x' },
];
const table = (separator: string, quote: (field: string) => string) =>
  ['text', 'id', 'label']
    .map(quote)
    .join(separator)
    .concat('\n')
    .concat(
      ROWS.map(({ text, label }, i) => `${[text, String(i), label].map(quote).join(separator)}\n`).join(''),
    );
const quoteAll = (field: string) => `"${field.replaceAll('"', '""')}"`;
const quoteSome = (field: string) => (/[",;\t|\n]/.test(field) ? quoteAll(field) : field);

describe('a table is read by the separator that its header shows', () => {
  describe.each([
    ['commas', ','],
    ['semicolons', ';'],
    ['tabs', '\t'],
    ['bars', '|'],
  ])('%s', (_, separator) => {
    it.each([
      ['with every field in quotes', table(separator, quoteAll)],
      ['with quotes where they are needed', table(separator, quoteSome)],
      ['after Excel’s line about it', `sep=${separator}\n${table(separator, quoteAll)}`],
      ['after that line in quotes', `\ufeff"sep=${separator}"\r\n${table(separator, quoteSome)}`],
      ['with line ends of old Macs', table(separator, quoteAll).replaceAll('\n', '\r')],
      [
        'with line ends that were converted twice',
        table(separator, quoteAll).replaceAll(/\n(?!and)/g, '\r\r\n'),
      ],
    ])('%s', async (_how, file) => {
      const random = new Random(3, 'cuts');
      for (const longest of [1, 7, 100, 65536]) {
        const { rows } = await ingest(file, () => 1 + Math.floor(random.uniform() * longest));
        expect(rows.map((row) => ({ ...row, text: row.text.trim() }))).toEqual(ROWS);
      }
    });
  });

  it('takes a separator that only Excel’s line gives', async () => {
    expect((await ingest('sep=:\ntext:label\na;b, c:x\n')).rows).toEqual([{ text: 'a;b, c', label: 'x' }]);
    expect((await refusal('sep=;\ntext,label\na,b\n')).message).toContain('it has "text,label"');
    expect((await refusal('sep=;\n"text","label"\na,b\n')).message).toContain('do not enclose its fields');
  });

  it('is not misled by separators inside quotes or in other columns’ names', async () => {
    expect((await ingest('"id; no, of|it",text,label\n1,a;b,x\n')).rows).toEqual([
      { text: 'a;b', label: 'x' },
    ]);
    expect((await ingest('id,no;text;label\n1;a,b;x\n')).rows).toEqual([{ text: 'a,b', label: 'x' }]);
    expect((await ingest('"id\nno",text,label\n1,a,x\n')).rows).toEqual([{ text: 'a', label: 'x' }]);
  });

  it('takes blanks around quotes as none of the field', async () => {
    const { rows } = await ingest('"text" , "label"\n "a, b" , "x"\n  c, y\n');
    expect(rows).toEqual([
      { text: 'a, b', label: 'x' },
      { text: '  c', label: 'y' },
    ]);
  });

  it('takes rows of bare separators as none, and what a row has too much of them', async () => {
    const { rows } = await ingest('text;label;;\na;x;;\nb;y;;;;\n;;;\n ; ;;\r\n;;;\n');
    expect(rows).toEqual([
      { text: 'a', label: 'x' },
      { text: 'b', label: 'y' },
    ]);
    expect((await refusal('text,label\na,x\n"",""\n')).errors).toEqual([
      { line: 3, message: 'text is empty' },
    ]);
  });

  it('names the separator that a field holds', async () => {
    const { errors } = await refusal('text;label\na;b;c\n');
    expect(errors![0]!.message).toBe('3 fields where the header has 2; quote a field that holds a ";"');
    expect((await refusal('text\tlabel\na\n')).errors![0]!.message).toContain('a field that holds a tab');
  });

  it('names the header that stands once more where files were joined', async () => {
    const part = '\ufefftext,label\r\na,x\r\n';
    const { errors } = await refusal(part + part);
    expect(errors).toEqual([{ line: 3, message: expect.stringContaining('the header once more') }]);
    expect((await ingest(`${part}\ufeffb,y\r\n`)).rows[1]).toEqual({ text: 'b', label: 'y' });
  });

  it.each([
    ['"b,y\nc,x\n"d",y\n', 3, 'the quote that opens here closes on line 5, with text after it'],
    ['"b,y\nc,x\nd,y\n', 3, 'the quote that opens here is never closed'],
    ['"two\nlines","b\nc,x\nd,y\n', 4, 'the quote that opens here is never closed'],
  ])('names the line where a quote opens that is not closed: %j', async (rest, line, why) => {
    expect((await refusal(`text,label\na,x\n${rest}`)).errors![0]).toEqual({
      line,
      message: expect.stringContaining(why),
    });
  });
});

describe('JSONL', () => {
  const row = '{"text":"a","label":"x"}';

  it('may hold byte order marks where files were joined', async () => {
    expect((await ingest(`\ufeff${row}\n\ufeff${row}\n`)).examples).toBe(2);
    expect((await ingest(`${row}\r${row}\r`)).examples).toBe(2);
  });

  it.each([
    [`{\n  "text": "a",\n  "label": "x"\n}\n`, 1, 'JSONL holds one object a line'],
    [`{"text":"a",\n"label":"x"}\n`, 1, 'JSONL holds one object a line'],
    [`${row}\n${row}${row}\n`, 2, 'more than one object on the line'],
    [`${row}\n{"text":"a } \\" {","label":"x"} ${row}\n`, 2, 'more than one object on the line'],
    [`${row},\n`, 1, 'a comma after the object'],
    [`{'text': 'a', 'label': 'x'}\n`, 1, 'json.dumps'],
    [`{"text":"a","label":NaN}\n`, 1, 'not valid JSON'],
  ])('says of %j what it is', async (file, line, why) => {
    expect((await refusal(file)).errors![0]).toEqual({ line, message: expect.stringContaining(why) });
  });

  it('complains once of an object that is spread over lines', async () => {
    const pretty = JSON.stringify({ text: 'a', label: 'x' }, null, 2);
    expect((await refusal(`${pretty}\n`.repeat(50))).totalErrors).toBe(1);
  });

  it('finds the end of an object in time that grows as the line', async () => {
    const quotes = '\\"'.repeat(1_900_000);
    expect((await refusal(`{"text":"${quotes}`)).errors![0]!.message).toContain('does not end on its line');
  });
});

describe('a JSON array', () => {
  const items = ROWS.map((row) => ({ ...row, id: [1, { a: ']},{"' }] }));

  it.each([
    ['on one line', JSON.stringify(items)],
    ['over many lines', JSON.stringify(items, null, 2)],
    ['after blanks and a byte order mark', `\ufeff \n${JSON.stringify(items, null, '\t')}\r\n`],
  ])('is read item by item, however the network cuts it: %s', async (_, file) => {
    const random = new Random(4, 'cuts');
    for (const longest of [1, 3, 1000]) {
      expect((await ingest(file, () => 1 + Math.floor(random.uniform() * longest))).rows).toEqual(ROWS);
    }
  });

  it('names the line where a bad item begins', async () => {
    const file = '[\n {"text":"a",\n  "label":"x"},\n\n {"text":"b"},\n 3,\n {"text":"c","label":"y"}\n]\n';
    const { rows, skipped } = await ingest(file, undefined, 'skip');
    expect([rows.length, skipped]).toEqual([2, { count: 2, lines: [5, 6] }]);
    expect((await refusal(file)).errors).toEqual([
      { line: 5, message: 'label is missing' },
      { line: 6, message: 'not an object such as {"text": "…", "label": "…"}' },
    ]);
  });

  const good = '{"text":"a","label":"x"}';
  it.each([
    [`[${good}\n ${good}]`, 1, 'not valid JSON in the array'],
    [`[${good},\n]`, 2, 'not valid JSON in the array'],
    [`[,${good}]`, 1, 'not valid JSON in the array'],
    [`[${good},\n${good}`, 2, 'the JSON array does not end'],
    [`[${good}]\n[${good}]`, 2, 'more after the end of the JSON array'],
    [`[${good}}\n,${good}]`, 1, 'a bracket closes that none opened'],
    [`[${good},\n{"text":"b","label":"y]`, 2, 'the JSON array does not end'],
  ])('is refused where it is broken, even with invalid rows left out: %j', async (file, line, why) => {
    const told = await ingest(file, undefined, 'skip').catch((error) => error);
    expect(told).toMatchObject({ code: 'invalid_dataset', totalErrors: 1 });
    expect(told.errors).toEqual([{ line, message: expect.stringContaining(why) }]);
  });

  it('leaves out an item that is too long, and may not be empty', async () => {
    const long = `[${good},{"text":"${'x'.repeat(MAX_LINE_BYTES)}","label":"x"},${good}]`;
    const { examples, skipped } = await ingest(long, undefined, 'skip');
    expect([examples, skipped]).toEqual([2, { count: 1, lines: [1] }]);
    expect((await refusal(' [ ] ')).message).toBe('The file has no rows.');
  });
});

describe('a gzipped file', () => {
  const csv = table(';', quoteAll);
  const packed = (text: string | Uint8Array) => new Uint8Array(gzipSync(text));

  it('is read as what it holds', async () => {
    const random = new Random(6, 'cuts');
    for (const longest of [1, 7, 65536]) {
      const cuts = () => 1 + Math.floor(random.uniform() * longest);
      expect((await ingest(packed(csv), cuts)).rows).toEqual(ROWS);
      expect((await ingest(packed(utf16(`\ufeff${csv}`)), cuts)).rows).toEqual(ROWS);
    }
  });

  it.each([
    ['is cut short', packed(csv).slice(0, -5), 'broken gzip'],
    ['has more after its end', concat([packed(csv), packed(csv)]), 'more follows after its end'],
    ['is damaged', packed(csv).map((byte, at) => (at === 40 ? byte ^ 1 : byte)), 'broken gzip'],
    ['is packed twice', packed(packed(csv)), 'gzip twice'],
    ['holds a workbook', packed(zip('xl/workbook.xml')), '(.xlsx)'],
    ['holds nothing', packed(''), 'The file is empty'],
  ])('is refused where it %s', async (_, file, why) => {
    expect((await refusal(file)).message).toContain(why);
  });

  it('is refused where it bursts, before much of it is unpacked', async () => {
    const bomb = packed(new Uint8Array(MAX_UPLOAD_BYTES + 64 * 1024 * 1024).fill(0x20));
    expect(bomb.byteLength).toBeLessThan(200_000);
    await expect(ingest(bomb)).rejects.toMatchObject({ code: 'payload_too_large', param: 'file' });
  });
});

describe('the columns of the text and the label', () => {
  const columns = { text: 'Review', label: 'stars' };
  const expected = [
    { text: 'a', label: '5' },
    { text: 'b', label: '1' },
  ];

  it.each([
    ['a table', 'id;text; review ;STARS\n1;z;a;5\n2;z;b;1\n'],
    ['JSONL', '{"text":"z","Review":"a","stars":5}\n{"Review":"b","stars":"1"}\n'],
    ['a JSON array', '[{"Review":"a","stars":5},{"Review":"b","stars":1}]'],
  ])('may have other names in %s', async (_, file) => {
    expect((await ingest(file, undefined, 'refuse', columns)).rows).toEqual(expected);
  });

  it('are named in errors', async () => {
    const table = 'id,text,label\n1,a,x\n';
    expect((await refusal(table, columns)).message).toContain('the columns "Review" and "stars"');
    expect((await refusal('a,b\n1,2\n')).message).toContain('text_column and label_column');
    expect((await refusal('review,stars\n,5\na,\n', columns)).errors).toEqual([
      { line: 2, message: 'Review is empty' },
      { line: 3, message: 'stars is empty' },
    ]);
    expect((await refusal('{"Review":"a","stars":true}', columns)).errors![0]!.message).toContain(
      'stars is a boolean',
    );
    expect((await refusal('{"text":"a"}', { text: 'toString' })).errors![0]!.message).toBe(
      'toString is missing',
    );
  });

  it('may be the header once more where files were joined', async () => {
    const part = 'review,stars\na,5\n';
    expect((await refusal(part + part, columns)).errors).toEqual([
      { line: 3, message: expect.stringContaining('the header once more') },
    ]);
  });
});

describe('a file in another encoding', () => {
  const jsonl = ROWS.map((row) => `${JSON.stringify(row)}\r\n`).join('');
  it.each([
    ['CSV', table(';', quoteAll)],
    ['TSV, as Excel’s "Unicode Text"', table('\t', quoteSome)],
    ['JSONL', jsonl],
  ])('is read as UTF-16 with a byte order mark: %s', async (_, file) => {
    const random = new Random(5, 'cuts');
    for (const isBig of [false, true]) {
      for (const longest of [1, 3, 1000]) {
        const bytes = utf16(`\ufeff${file}`, isBig);
        expect((await ingest(bytes, () => 1 + Math.floor(random.uniform() * longest))).rows).toEqual(ROWS);
      }
    }
  });

  it.each([
    ['half a surrogate pair', utf16('\ufefftext,label\n\ud83c,x\n')],
    ['an odd number of bytes', utf16('\ufefftext,label\na,x\n').slice(0, -1)],
  ])('is refused where UTF-16 has %s', async (_, file) => {
    expect((await refusal(file)).message).toContain('broken UTF-16');
  });
});

describe('a file that is no dataset is named, with the way out', () => {
  it.each([
    ['an Excel workbook', zip('[Content_Types].xml'), '(.xlsx)', 'CSV UTF-8'],
    ['one that names its sheets first', zip('xl/workbook.xml'), '(.xlsx)', 'CSV UTF-8'],
    [
      'an OpenDocument spreadsheet',
      zip('mimetype', 'application/vnd.oasis.opendocument.spreadsheet'),
      '(.ods)',
      'CSV UTF-8',
    ],
    ['a PyTorch file', zip('archive/data.pkl'), 'PyTorch', 'a text and its label'],
    ['an archive', zip('train.csv'), 'ZIP', 'unpack'],
    [
      'an old PyTorch file',
      latin1('\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'),
      'PyTorch',
      'a text and its label',
    ],
    ['an old Excel workbook', latin1('\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1'), '(.xls)', 'CSV UTF-8'],
    [
      'a Git LFS pointer',
      encode('version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n'),
      'Git LFS',
      'git lfs pull',
    ],
    ['Parquet', latin1('PAR1\x15\x04\x15'), 'Parquet', 'JSONL or CSV'],
    ['safetensors', latin1('\x40\x0a\0\0\0\0\0\0{"__metadata__":{}}'), 'safetensors', '/v1/adapters/import'],
    ['a PDF', encode('%PDF-1.7\n'), 'PDF', 'a text and its label'],
    ['a web page', encode('\n<!DOCTYPE html>\n<html>'), 'web page', 'login'],
    ['a tar archive', concat([encode('train.csv'), new Uint8Array(248), encode('ustar')]), 'tar', 'unpack'],
    ['UTF-16 without a mark', utf16('text,label\na,b\n'), 'UTF-16 without', 'save it as UTF-8'],
    ['the same, big end first', utf16('{"text":"a"}\n', true), 'UTF-16 without', 'save it as UTF-8'],
    ['UTF-32', concat([latin1('\xff\xfe\0\0t\0\0\0')]), 'UTF-32', 'save it as UTF-8'],
    ['fastText', encode('__label__x some text\n'), 'fastText', 'JSONL or CSV'],
  ])('%s', async (_, file, what, way) => {
    const { message, errors } = await refusal(file);
    expect(message).toContain(what);
    expect(message).toContain(way);
    expect(errors).toBeUndefined();
  });
});
