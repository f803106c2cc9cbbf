import type { BadRow, Line, RawRow, RowParser } from './rows.ts';

const QUOTE = '"';

/** Where the two columns are, and how many there are. */
interface Columns {
  text: number;
  label: number;
  count: number;
}

/** The row under way. Between two lines a quoted field is open. */
interface OpenRow {
  line: number;
  fields: string[];
  field: string;
  length: number;
}

/**
 * Reads CSV or TSV (RFC 4180) line by line: a header that names the columns `text` and `label`, quoted fields that may
 * hold line ends. Where a TSV field has quotes that do not enclose it, they are text, as tools that write TSV leave them.
 *
 * Written here for its lines: csv-parse 7.0.3 counts a CRLF inside quotes twice and stops at the first row that is too
 * long.
 */
export class CsvParser implements RowParser {
  isBroken = false;
  readonly #delimiter: ',' | '\t';
  readonly #maxRowChars: number;
  #columns: Columns | undefined;
  #open: OpenRow | undefined;

  constructor(delimiter: ',' | '\t', maxRowChars: number) {
    this.#delimiter = delimiter;
    this.#maxRowChars = maxRowChars;
  }

  take(line: Line): RawRow | undefined {
    const row = this.#open ?? { line: line.line, fields: [], field: '', length: 0 };
    const isContinued = this.#open !== undefined;
    this.#open = undefined;
    if ('error' in line)
      return this.#columns ? { line: row.line, error: line.error } : this.#break(row, line.error);
    if (!isContinued && line.content.trim() === '') return undefined;
    row.length += line.content.length;
    if (row.length > this.#maxRowChars) {
      return this.#break(
        row,
        `the row is longer than ${this.#maxRowChars} characters; is a quote not closed?`,
      );
    }
    const error = this.#readFields(row, line.content, isContinued);
    if (error !== undefined) return { line: row.line, error };
    return this.#open ? undefined : this.#finish(row);
  }

  end(): BadRow | undefined {
    return this.#open && { line: this.#open.line, error: 'a quote that this row opens is never closed' };
  }

  /** Adds a line's fields to the row, which stays open where the line ends inside quotes. Returns what is wrong. */
  #readFields(row: OpenRow, content: string, isContinued: boolean): string | undefined {
    let at = 0;
    let inQuotes = isContinued;
    if (isContinued) row.field += '\n';
    for (;;) {
      if (!inQuotes && content[at] !== QUOTE) {
        const end = this.#fieldEnd(content, at);
        const error = this.#addPlain(row, content.slice(at, end));
        if (error !== undefined || end >= lineEnd(content)) return error;
        at = end + 1;
        continue;
      }
      const close = closingQuote(content, inQuotes ? at : at + 1);
      row.field += content.slice(inQuotes ? at : at + 1, close).replaceAll('""', QUOTE);
      if (close === content.length) {
        this.#open = row;
        return undefined;
      }
      const end = this.#fieldEnd(content, close);
      const after = content.slice(close + 1, end);
      if (after !== '' && this.#delimiter === ',')
        return 'text after a closing quote; double the quotes inside';
      row.fields.push(after === '' ? row.field : `"${row.field}"${after}`);
      row.field = '';
      if (end >= lineEnd(content)) return undefined;
      at = end + 1;
      inQuotes = false;
    }
  }

  #addPlain(row: OpenRow, field: string): string | undefined {
    if (this.#delimiter === ',' && field.includes(QUOTE)) {
      return 'a quote inside an unquoted field; put the field in quotes and double the quote';
    }
    row.fields.push(field);
    return undefined;
  }

  #fieldEnd(content: string, from: number): number {
    const at = content.indexOf(this.#delimiter, from);
    return at < 0 ? lineEnd(content) : at;
  }

  #finish(row: OpenRow): RawRow | undefined {
    const { line, fields } = row;
    if (!this.#columns) return this.#readHeader(row);
    const { text, label, count } = this.#columns;
    if (fields.length === count) return { line, row: { text: fields[text], label: fields[label] } };
    return {
      line,
      error: `${fields.length} fields where the header has ${count}; quote a field that holds the delimiter`,
    };
  }

  #readHeader(row: OpenRow): BadRow | undefined {
    const names = row.fields.map((field) => field.trim().toLowerCase());
    const text = names.indexOf('text');
    const label = names.indexOf('label');
    if (names.lastIndexOf('text') !== text || names.lastIndexOf('label') !== label) {
      return this.#break(row, 'the header names a column twice');
    }
    if (text < 0 || label < 0) {
      const found = row.fields.slice(0, 10).map((field) => JSON.stringify(field.slice(0, 40)));
      return this.#break(
        row,
        `the header must name the columns "text" and "label"; it has ${found.join(', ')}`,
      );
    }
    this.#columns = { text, label, count: names.length };
    return undefined;
  }

  #break(row: OpenRow, error: string): BadRow {
    this.isBroken = true;
    return { line: row.line, error };
  }
}

/** Where a line's text ends: before the `\r` of a CRLF. */
function lineEnd(content: string): number {
  return content.endsWith('\r') ? content.length - 1 : content.length;
}

/** The next quote that is not doubled, or the line's length. */
function closingQuote(content: string, from: number): number {
  let at = content.indexOf(QUOTE, from);
  while (at >= 0 && content[at + 1] === QUOTE) at = content.indexOf(QUOTE, at + 2);
  return at < 0 ? content.length : at;
}
