const QUOTE = '"';

/** A fault of a record, and the line to look at. */
export interface RecordFault {
  line: number;
  error: string;
}

/**
 * One record of a CSV file (RFC 4180), read line by line. Quoted fields may hold line ends, and blanks around a field's quotes are no part
 * of it. In TSV, quotes that do not enclose a field are text, because tools write them so.
 */
export class CsvRecord {
  readonly fields: string[] = [];
  /** The record's first line. */
  readonly line: number;
  /** Line of the quote that is open at the end of the last line read. */
  openQuote: number | undefined;
  /** True if the record goes on after its first line. */
  isSpread = false;
  readonly separator: string;
  readonly #isTsv: boolean;
  #field = '';

  constructor(line: number, separator: string) {
    this.line = line;
    this.separator = separator;
    this.#isTsv = separator === '\t';
  }

  /** Adds a line's fields; a line that ends inside quotes leaves the record open. */
  read(content: string, line: number): RecordFault | undefined {
    const end = lineEnd(content);
    let opened = this.openQuote;
    if (opened !== undefined) this.#field += '\n';
    for (let at = 0; at <= end; at++) {
      let start = at;
      if (opened === undefined) {
        start = this.#skipBlanks(content, at) + 1;
        if (content[start - 1] !== QUOTE) {
          const stop = this.#fieldEnd(content, at);
          const error = this.#addPlain(content.slice(at, stop));
          if (error !== undefined) return { line, error };
          at = stop;
          continue;
        }
        opened = line;
      }
      const close = closingQuote(content, start);
      this.#field += content.slice(start, close).replaceAll('""', QUOTE);
      this.openQuote = close === content.length ? opened : undefined;
      this.isSpread ||= this.openQuote !== undefined;
      if (this.openQuote !== undefined) return undefined;
      const stop = this.#fieldEnd(content, close);
      if (!this.#addQuoted(content.slice(close + 1, stop))) return afterQuote(opened, line);
      opened = undefined;
      at = stop;
    }
    return undefined;
  }

  #addPlain(field: string): string | undefined {
    if (!this.#isTsv && field.includes(QUOTE)) {
      return 'a quote inside an unquoted field; put the field in quotes and double the quote';
    }
    this.fields.push(field);
    return undefined;
  }

  #addQuoted(after: string): boolean {
    const isClosed = this.#isTsv ? after === '' : after.trim() === '';
    if (!isClosed && !this.#isTsv) return false;
    this.fields.push(isClosed ? this.#field : `"${this.#field}"${after}`);
    this.#field = '';
    return true;
  }

  #skipBlanks(content: string, from: number): number {
    let at = from;
    if (!this.#isTsv) while (content[at] === ' ' || content[at] === '\t') at++;
    return at;
  }

  #fieldEnd(content: string, from: number): number {
    const at = content.indexOf(this.separator, from);
    return at < 0 ? lineEnd(content) : at;
  }
}

function afterQuote(opened: number, line: number): RecordFault {
  const error =
    opened === line
      ? 'text after a closing quote; double the quotes inside'
      : `the quote that opens here closes on line ${line}, with text after it; is one missing or not doubled?`;
  return { line: opened, error };
}

/** End of a line's text: before the `\r` of a CRLF, or the `\r\r` of one that was converted twice. */
function lineEnd(content: string): number {
  let end = content.length;
  while (content[end - 1] === '\r') end--;
  return end;
}

/** Index of the next quote that is not doubled, or the line's length. */
function closingQuote(content: string, from: number): number {
  let at = content.indexOf(QUOTE, from);
  while (at >= 0 && content[at + 1] === QUOTE) at = content.indexOf(QUOTE, at + 2);
  return at < 0 ? content.length : at;
}
