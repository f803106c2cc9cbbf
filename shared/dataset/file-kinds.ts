import { MAX_LINE_BYTES } from '../api/datasets.ts';
import { CsvParser } from './csv-rows.ts';
import type { Columns } from './find-in-row.ts';
import { JsonArrayReader } from './json-array.ts';
import { JsonlParser } from './jsonl-rows.ts';
import { type LineEnd, LineReader, type RowReader } from './rows.ts';
import { fromUtf16, unpackGzip, withoutMark } from './unpack.ts';

/** First bytes that suffice to tell a file's kind. */
export const SIGNATURE_BYTES = 512;

/** How a file's first bytes tell its kind. */
interface Signature {
  /** Bytes at `at`, or else at the start, one character a byte. */
  readonly magic: string;
  readonly at?: number;
  /** A pattern that the first bytes must contain too. */
  readonly holds?: RegExp;
}

/** A kind that holds no rows: what it is, and the way out. */
interface Refused extends Signature {
  readonly is: string;
  readonly remedy: string;
}

/** A kind that wraps another one. */
interface Wrapped extends Signature {
  readonly is: string;
  readonly unwrap: (chunks: AsyncIterable<Uint8Array>) => AsyncGenerator<Uint8Array>;
}

/** A kind of rows. */
interface Readable extends Signature {
  readonly read: (columns: Columns, lineEnd: LineEnd) => RowReader;
}

export type FileKind = Refused | Wrapped | Readable;

const UNPACK = 'unpack it, and upload the file inside';
const SAVE_SHEET = 'save its sheet as "CSV UTF-8", and upload that';
const EXPORT = 'export its rows as JSONL or CSV';
const NOT_ROWS = 'a dataset is CSV or JSONL, a text and its label a row';
const AS_UTF8 = 'save it as UTF-8';

/** Kinds of files. The first match counts. */
const KINDS: readonly FileKind[] = [
  { magic: 'PK\x03\x04', holds: /opendocument/, is: 'an OpenDocument file (.ods)', remedy: SAVE_SHEET },
  {
    magic: 'PK\x03\x04',
    holds: /\[Content_Types\]\.xml|_rels\/|docProps\/|xl\//,
    is: 'an Excel workbook (.xlsx) or another Office file',
    remedy: SAVE_SHEET,
  },
  { magic: 'PK\x03\x04', holds: /data\.pkl/, is: 'a PyTorch file (.bin, .pt)', remedy: NOT_ROWS },
  { magic: 'PK\x03\x04', is: 'a ZIP archive', remedy: UNPACK },
  { magic: 'PK\x05\x06', is: 'an empty ZIP archive', remedy: NOT_ROWS },
  {
    magic: '\xd0\xcf\x11\xe0',
    is: 'an old Excel workbook (.xls) or another Office file',
    remedy: SAVE_SHEET,
  },
  { magic: '\x1f\x8b', is: 'compressed by gzip', unwrap: unpackGzip },
  { magic: 'BZh', holds: /^BZh[1-9]1AY&SY/, is: 'compressed by bzip2', remedy: UNPACK },
  { magic: '\xfd7zXZ', is: 'compressed by xz', remedy: UNPACK },
  { magic: '(\xb5/\xfd', is: 'compressed by Zstandard', remedy: UNPACK },
  { magic: '7z\xbc\xaf', is: 'a 7-Zip archive', remedy: UNPACK },
  { magic: 'Rar!\x1a', is: 'a RAR archive', remedy: UNPACK },
  { magic: 'ustar', at: 257, is: 'a tar archive', remedy: UNPACK },
  {
    magic: 'version https://git-lfs',
    is: 'a Git LFS pointer, which stands for a file',
    remedy: 'run "git lfs pull", and upload the file itself',
  },
  { magic: 'PAR1', holds: /^PAR1[^ -~]/, is: 'Parquet', remedy: EXPORT },
  { magic: 'ARROW1\0', is: 'Arrow or Feather', remedy: EXPORT },
  { magic: 'Obj\x01', is: 'Avro', remedy: EXPORT },
  { magic: 'SQLite format 3\0', is: 'an SQLite database', remedy: EXPORT },
  { magic: '\x89HDF\r\n', is: 'HDF5', remedy: EXPORT },
  { magic: '\x93NUMPY', is: 'a NumPy array', remedy: EXPORT },
  {
    magic: '\x80',
    holds: /^\x80[^ -~]/,
    is: 'a Python pickle, such as a PyTorch .bin',
    remedy: NOT_ROWS,
  },
  {
    magic: '\0{"',
    at: 7,
    is: 'safetensors',
    remedy: `${NOT_ROWS}; an adapter goes to /v1/adapters/import`,
  },
  { magic: 'GGUF', holds: /^GGUF[^ -~]/, is: 'a GGUF model', remedy: NOT_ROWS },
  { magic: '%PDF-', is: 'a PDF', remedy: NOT_ROWS },
  { magic: '\x89PNG', is: 'an image', remedy: NOT_ROWS },
  { magic: '\xff\xd8\xff', is: 'an image', remedy: NOT_ROWS },
  {
    magic: '',
    holds: /^\s*<(?:!doctype|html|\?xml)/i,
    is: 'a web page or XML',
    remedy: 'did its download ask for a login?',
  },
  { magic: '\xff\xfe\0\0', is: 'UTF-32', remedy: AS_UTF8 },
  { magic: '\0\0\xfe\xff', is: 'UTF-32', remedy: AS_UTF8 },
  { magic: '', holds: /^[\t-~]\0\0\0[\t-~]\0\0\0/, is: 'UTF-32', remedy: AS_UTF8 },
  {
    magic: '',
    holds: /^(?:[\t-~]\0[\t-~]\0|\0[\t-~]\0[\t-~])/,
    is: 'UTF-16 without a byte order mark',
    remedy: AS_UTF8,
  },
  { magic: '\xef\xbb\xbf', is: 'UTF-8', unwrap: withoutMark },
  { magic: '\xff\xfe', is: 'UTF-16', unwrap: fromUtf16('utf-16le') },
  { magic: '\xfe\xff', is: 'UTF-16', unwrap: fromUtf16('utf-16be') },
  { magic: '', holds: /^__label__\S+[ \t]/, is: 'in fastText’s form', remedy: EXPORT },
  {
    magic: '',
    holds: /^\s*\[/,
    read: (columns, lineEnd) => new JsonArrayReader(columns, MAX_LINE_BYTES, lineEnd),
  },
  {
    magic: '',
    holds: /^\s*\{/,
    read: (columns, lineEnd) => new LineReader(new JsonlParser(columns), MAX_LINE_BYTES, lineEnd),
  },
];

const CSV: Readable = {
  magic: '',
  read: (columns, lineEnd) => new LineReader(new CsvParser(MAX_LINE_BYTES, columns), MAX_LINE_BYTES, lineEnd),
};

/** The kind of a file that begins with `start`; CSV where it is none of the others. */
export function kindOf(start: Uint8Array): FileKind {
  const head = String.fromCharCode(...start.subarray(0, SIGNATURE_BYTES));
  const isOf = ({ magic, at = 0, holds }: Signature) =>
    head.startsWith(magic, at) && (holds?.test(head) ?? true);
  return KINDS.find(isOf) ?? CSV;
}
