import { MAX_LINE_BYTES } from '../shared/api/datasets.ts';
import { text as textSchema } from '../shared/api/rows.ts';
import { CsvRecord } from '../shared/dataset/csv-record.ts';
import { LineSplitter } from '../shared/dataset/rows.ts';
import { Failure } from './failure.ts';

export const ROW_FORMATS = ['jsonl', 'csv', 'text'] as const;
export type RowFormat = (typeof ROW_FORMATS)[number];

/** A text to classify, and all columns of the row it is from, itself among them. */
export interface TextRow {
  text: string;
  columns: Readonly<Record<string, unknown>>;
}

/** A reader of one format. */
interface RowReader {
  /** The columns of the row that ends with this line; undefined where none does. */
  read(content: string, line: number): Record<string, unknown> | undefined;
  /** Refuses a row that does not end with the file. */
  end?(): void;
}

const SEPARATORS = [',', ';', '\t', '|'];

/** The format of a file by the end of its name: lines of text, unless it says otherwise. */
export function formatOf(path: string): RowFormat {
  if (/\.(jsonl|ndjson|json)$/i.test(path)) return 'jsonl';
  return /\.(csv|tsv|tab)$/i.test(path) ? 'csv' : 'text';
}

/**
 * Reads texts to classify from UTF-8: JSONL objects or CSV with a column `text`, whose other columns are kept, or a text a line. Blank lines are
 * skipped.
 * @throws {Failure} `invalid_dataset` at the first row that has no text, naming its line
 */
export async function* readTexts(
  chunks: AsyncIterable<Uint8Array>,
  format: RowFormat,
): AsyncGenerator<TextRow> {
  const reader = READERS[format]();
  const splitter = new LineSplitter(MAX_LINE_BYTES);
  for await (const chunk of chunks) yield* rowsOf(splitter.push(chunk), reader);
  yield* rowsOf(splitter.end(), reader);
  reader.end?.();
}

function* rowsOf(lines: ReturnType<LineSplitter['push']>, reader: RowReader): Generator<TextRow> {
  for (const found of lines) {
    if ('error' in found) throw badRow(found.line, found.error);
    const content = found.line === 1 ? found.content.replace(/^\ufeff/, '') : found.content;
    const columns = reader.read(content.replace(/\r+$/, ''), found.line);
    if (columns) yield { text: textOf(columns.text, found.line), columns };
  }
}

function textOf(given: unknown, line: number): string {
  if (given === undefined) throw badRow(line, 'text is missing');
  const text = textSchema.safeParse(given);
  if (text.success) return text.data;
  throw badRow(line, text.error.issues[0]!.message);
}

const READERS: Readonly<Record<RowFormat, () => RowReader>> = {
  text: () => ({ read: (content) => (content.trim() === '' ? undefined : { text: content }) }),
  jsonl: () => ({ read: (content, line) => (content.trim() === '' ? undefined : objectOf(content, line)) }),
  csv: () => new CsvReader(),
};

function objectOf(content: string, line: number): Record<string, unknown> {
  const row = parsed(content, line);
  if (typeof row === 'object' && row !== null && !Array.isArray(row)) return row as Record<string, unknown>;
  throw badRow(line, 'not an object such as {"text": "…"}');
}

class CsvReader implements RowReader {
  #header: { names: readonly string[]; separator: string } | undefined;
  #open: CsvRecord | undefined;
  #chars = 0;

  read(content: string, line: number): Record<string, unknown> | undefined {
    if (!this.#open && content.trim() === '') return undefined;
    if (!this.#header) {
      this.#header = headerOf(content, line);
      return undefined;
    }
    const { names, separator } = this.#header;
    const record = this.#open ?? new CsvRecord(line, separator);
    this.#chars = (this.#open ? this.#chars : 0) + content.length;
    if (this.#chars > MAX_LINE_BYTES)
      throw badRow(record.line, 'the row is too long; is a quote not closed?');
    const fault = record.read(content, line);
    if (fault) throw badRow(fault.line, fault.error);
    this.#open = record.openQuote === undefined ? undefined : record;
    if (this.#open) return undefined;
    if (record.fields.length !== names.length) {
      throw badRow(record.line, `${record.fields.length} fields where the header has ${names.length}`);
    }
    return Object.fromEntries(names.map((name, i) => [name, record.fields[i]]));
  }

  end(): void {
    const line = this.#open?.openQuote;
    if (line !== undefined) throw badRow(line, 'the quote that opens here is never closed');
  }
}

function headerOf(content: string, line: number): { names: readonly string[]; separator: string } {
  for (const separator of SEPARATORS) {
    const record = new CsvRecord(line, separator);
    if (record.read(content, line) || record.openQuote !== undefined) continue;
    const names = record.fields.map((name) => name.trim());
    const at = names.findIndex((name) => name.toLowerCase() === 'text');
    if (at >= 0) return { names: names.with(at, 'text'), separator };
  }
  throw badRow(line, 'the header must name the column "text"');
}

function parsed(content: string, line: number): unknown {
  try {
    return JSON.parse(content);
  } catch {
    throw badRow(line, 'not valid JSON');
  }
}

function badRow(line: number, message: string): Failure {
  return new Failure('failed', 'invalid_dataset', `line ${line}: ${message}`, {
    errors: [{ line, message }],
  });
}
