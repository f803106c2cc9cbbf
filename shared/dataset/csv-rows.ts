import { type RowNames, readRow } from '../api/rows.ts';
import { CsvRecord } from './csv-record.ts';
import type { Columns } from './find-in-row.ts';
import { namesOf } from './row-forms.ts';
import type { BadRow, Line, RawRow, RowParser } from './rows.ts';
import { some } from './words.ts';

const SEPARATORS = [',', ';', '\t', '|'];
/** The line with which Excel reads and writes the separator. */
const SEPARATOR_LINE = /^"?sep=([^"\r\n])"?\s*$/i;
const MARK = '\ufeff';

/** Positions of the two columns, and the names of all. */
interface Header {
  text: number;
  label: number;
  names: string[];
}

/**
 * Reads CSV line by line: a header that names the columns of the text and the label, then rows. The separator is the one by which the
 * header names both, or the one that a `sep=` line before it gives.
 *
 * It is written here for its line numbers, for its recovery after a bad row, and because a file must not lose rows in silence. csv-parse
 * 7.0.3 counts a CRLF inside quotes twice, stops at the first row that is too long, names a quote that is not closed by the last line, and
 * is several times slower. It and Papa Parse 5.7.1 take all text after a misplaced quote as one field. Papa Parse and uDSV 0.7.3 take a
 * quote inside a field as it is; uDSV drops the text after a closing quote, and web-csv-toolbox 0.14.0 that before such a quote.
 */
export class CsvParser implements RowParser {
  isBroken = false;
  readonly #maxRowChars: number;
  readonly #wanted: RowNames;
  #separators = SEPARATORS;
  #columns: Header | undefined;
  /** Records that go on: the current row's, or during the header one per separator. */
  #open: CsvRecord[] = [];
  #rowChars = 0;

  constructor(maxRowChars: number, columns: Columns) {
    this.#maxRowChars = maxRowChars;
    this.#wanted = namesOf(columns);
  }

  take(line: Line): RawRow | undefined {
    const isContinued = this.#open.length > 0;
    if ('error' in line) {
      const first = this.#open[0]?.line ?? line.line;
      this.#open = [];
      const bad = { line: first, error: line.error, isFatal: isContinued };
      return this.#columns ? bad : this.#break(first, line.error);
    }
    const content = isContinued || !line.content.startsWith(MARK) ? line.content : line.content.slice(1);
    if (!isContinued && this.#isNoRow(content)) return undefined;
    this.#rowChars = (isContinued ? this.#rowChars : 0) + content.length;
    if (this.#rowChars > this.#maxRowChars) {
      const error = `the row is longer than ${this.#maxRowChars} characters; is a quote not closed?`;
      return this.#break(this.#open[0]?.openQuote ?? line.line, error);
    }
    return this.#columns ? this.#readRow(content, line.line) : this.#readHeader(content, line.line);
  }

  end(): BadRow | undefined {
    const quote = this.#open[0]?.openQuote;
    return quote === undefined
      ? undefined
      : { line: quote, error: 'the quote that opens here is never closed', isFatal: true };
  }

  /** True for a blank line, and for the bare separators that spreadsheets write for an empty row. */
  #isNoRow(content: string): boolean {
    const inked = content.trimStart();
    if (inked === '') return true;
    if (!this.#columns) return false;
    const separator = this.#separators[0]!;
    return inked.startsWith(separator) && inked.replaceAll(separator, '').trim() === '';
  }

  #readRow(content: string, line: number): RawRow | undefined {
    const record = this.#open.pop() ?? new CsvRecord(line, this.#separators[0]!);
    const fault = record.read(content, line);
    if (fault) return { ...fault, isFatal: record.isSpread };
    if (record.openQuote === undefined) return this.#rowOf(record);
    this.#open = [record];
    return undefined;
  }

  #rowOf({ line, fields, isSpread }: CsvRecord): RawRow {
    const { text, label, names } = this.#columns!;
    const tooMany = fields.slice(names.length);
    if (fields.length < names.length || tooMany.some((field) => field.trim() !== '')) {
      const separator = this.#separators[0] === '\t' ? 'a tab' : `a "${this.#separators[0]}"`;
      const error = `${fields.length} fields where the header has ${names.length}; quote a field that holds ${separator}`;
      return { line, error, isFatal: isSpread };
    }
    if (nameOf(fields[label]!) === names[label] && names.every((name, i) => name === nameOf(fields[i]!))) {
      return { line, error: 'the header once more; were files joined? Leave it out' };
    }
    return { line, read: readRow({ text: fields[text], label: fields[label] }, this.#wanted) };
  }

  /** Reads the header by each separator, until one names the columns or none can any more. */
  #readHeader(content: string, line: number): BadRow | undefined {
    const told = this.#open.length === 0 && SEPARATOR_LINE.exec(content)?.[1];
    if (told) {
      this.#separators = [told];
      return undefined;
    }
    const going =
      this.#open.length > 0 ? this.#open : this.#separators.map((each) => new CsvRecord(line, each));
    const sound = going.filter((record) => !record.read(content, line));
    this.#open = sound.filter(({ openQuote }) => openQuote !== undefined);
    const whole = sound.filter(({ openQuote }) => openQuote === undefined);
    const wanted = Object.values(this.#wanted).map(nameOf);
    const header = whole.find(({ fields }) => wanted.every((name) => fields.map(nameOf).includes(name)));
    if (header) return this.#setColumns(header);
    return this.#open.length > 0 ? undefined : this.#break(line, noColumns(whole, this.#wanted));
  }

  #setColumns({ line, fields, separator }: CsvRecord): BadRow | undefined {
    const names = fields.map(nameOf);
    const [textName, labelName] = [nameOf(this.#wanted.text), nameOf(this.#wanted.label)];
    const [text, label] = [names.indexOf(textName), names.indexOf(labelName)];
    if (names.lastIndexOf(textName) !== text || names.lastIndexOf(labelName) !== label) {
      return this.#break(line, 'the header names a column twice');
    }
    this.#columns = { text, label, names };
    this.#separators = [separator];
    this.#open = [];
    return undefined;
  }

  #break(line: number, error: string): BadRow {
    this.isBroken = true;
    return { line, error, isFatal: true };
  }
}

function nameOf(field: string): string {
  return field.trim().toLowerCase();
}

function noColumns(headers: readonly CsvRecord[], { text, label }: RowNames): string {
  const names = `the columns ${JSON.stringify(text)} and ${JSON.stringify(label)}`;
  const wanted = `the header must name ${names}, which text_column and label_column change`;
  if (headers.length === 0) return `${wanted}; its quotes do not enclose its fields`;
  const { fields } = headers.reduce((a, b) => (b.fields.length > a.fields.length ? b : a));
  return `${wanted}; it has ${some(fields)}`;
}
