import { joinBytes } from '../bytes.ts';
import type { Columns } from './find-in-row.ts';
import { readFileRow } from './row-forms.ts';
import { decodeUtf8, type LineEnd, type RawRow, type RowReader } from './rows.ts';

const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [OPEN, CLOSE, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Reads the items of a JSON array as rows, whatever lines they stand on, holding one of them at most. A fault of the syntax ends the file,
 * because where the next item begins is then a guess.
 */
export class JsonArrayReader implements RowReader {
  isBroken = false;
  readonly #columns: Columns;
  readonly #maxItemBytes: number;
  readonly #lineEnd: number;
  #line = 1;
  #state: 'before' | 'inside' | 'after' = 'before';
  /** Brackets open within the item. */
  #depth = 0;
  #inString = false;
  #isEscaped = false;
  #items = 0;
  #itemLine = 0;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;

  constructor(columns: Columns, maxItemBytes: number, lineEnd: LineEnd) {
    this.#columns = columns;
    this.#maxItemBytes = maxItemBytes;
    this.#lineEnd = lineEnd;
  }

  *push(chunk: Uint8Array): Generator<RawRow> {
    let begin = 0;
    for (let at = 0; at < chunk.length && !this.isBroken; at++) {
      const byte = chunk[at]!;
      if (byte === this.#lineEnd) this.#line++;
      if (this.#inString) this.#passString(byte);
      else if (this.#state !== 'inside') {
        if (byte > 0x20) yield* this.#outside(byte);
        begin = at + 1;
      } else if (this.#depth === 0 && (byte === COMMA || byte === CLOSE)) {
        this.#keep(chunk.subarray(begin, at));
        yield* this.#finish(byte === CLOSE);
        begin = at + 1;
      } else {
        this.#pass(byte);
        if (this.#depth < 0) yield this.#break(this.#line, 'a bracket closes that none opened');
      }
    }
    if (this.#state === 'inside') this.#keep(chunk.slice(begin));
  }

  *end(): Generator<RawRow> {
    if (this.#state !== 'after')
      yield this.#break(this.#itemLine || this.#line, 'the JSON array does not end; is the file cut short?');
  }

  /** A byte before or after the array. */
  *#outside(byte: number): Generator<RawRow> {
    if (this.#state === 'before' && byte === OPEN) this.#state = 'inside';
    else yield this.#break(this.#line, 'more after the end of the JSON array');
  }

  #passString(byte: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (byte === BACKSLASH) this.#isEscaped = true;
    else if (byte === QUOTE) this.#inString = false;
  }

  #pass(byte: number): void {
    if (byte > 0x20) this.#itemLine ||= this.#line;
    if (byte === QUOTE) this.#inString = true;
    else if (byte === OPEN || byte === OPEN_OBJECT) this.#depth++;
    else if (byte === CLOSE || byte === CLOSE_OBJECT) this.#depth--;
  }

  /** Keeps an item's bytes. Beyond the limit it only counts them, so that an endless item costs no memory. */
  #keep(bytes: Uint8Array): void {
    this.#pendingBytes += bytes.byteLength;
    if (this.#pendingBytes > this.#maxItemBytes) this.#pending = [];
    else if (bytes.byteLength > 0) this.#pending.push(bytes);
  }

  /** The item that ends here; an empty array has none. */
  *#finish(isLast: boolean): Generator<RawRow> {
    const line = this.#itemLine || this.#line;
    const isTooLong = this.#pendingBytes > this.#maxItemBytes;
    const content = isTooLong ? undefined : decodeUtf8(joinBytes(this.#pending));
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#itemLine = 0;
    if (isLast) this.#state = 'after';
    this.#items += 1;
    if (isTooLong) yield { line, error: `the row is longer than ${this.#maxItemBytes} bytes` };
    else if (content === undefined) yield { line, error: 'not valid UTF-8; save the file as UTF-8' };
    else if (!(isLast && this.#items === 1 && content.trim() === '')) yield this.#rowOf(content, line);
  }

  #rowOf(content: string, line: number): RawRow {
    try {
      return { line, read: readFileRow(JSON.parse(content), this.#columns) };
    } catch {
      return this.#break(line, 'not valid JSON in the array');
    }
  }

  #break(line: number, error: string): RawRow {
    this.isBroken = true;
    return { line, error, isFatal: true };
  }
}
