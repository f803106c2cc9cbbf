import type { ReadRow } from '../api/rows.ts';
import { joinBytes } from '../bytes.ts';

/** A row of the file as it was read, or the fault of what is no row. `line` counts from 1, a header included. */
export type RawRow = { line: number; read: ReadRow } | BadRow;

export interface BadRow {
  line: number;
  error: string;
  /** True if the fault may hide other rows, or nothing can follow it: leaving it out would leave out more than itself. */
  isFatal?: boolean;
}

/** Turns a file's bytes into rows. */
export interface RowReader {
  /** The rows that this chunk completes. */
  push(chunk: Uint8Array): Iterable<RawRow>;
  /** What the end completes, and its fault, if any. */
  end(): Iterable<RawRow>;
  /** True after a row that nothing can follow. */
  readonly isBroken: boolean;
}

/** Turns a file's lines into rows. */
export interface RowParser {
  /** The row that this line completes, if any. */
  take(line: Line): RawRow | undefined;
  /** The fault of the file's end, if any. */
  end(): BadRow | undefined;
  /** True after a row that nothing can follow. */
  readonly isBroken: boolean;
}

/** A line without the byte that ends it; a CRLF leaves its `\r` there. */
export type Line = { line: number; content: string } | BadRow;

export const LF = 0x0a;
export const CR = 0x0d;
/** The byte that ends lines. */
export type LineEnd = typeof LF | typeof CR;
// A byte order mark counts as text unless it starts the file.
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads rows that end with their lines. */
export class LineReader implements RowReader {
  readonly #splitter: LineSplitter;
  readonly #parser: RowParser;

  constructor(parser: RowParser, maxLineBytes: number, lineEnd: LineEnd) {
    this.#parser = parser;
    this.#splitter = new LineSplitter(maxLineBytes, lineEnd);
  }

  get isBroken(): boolean {
    return this.#parser.isBroken;
  }

  push(chunk: Uint8Array): Generator<RawRow> {
    return this.#rowsOf(this.#splitter.push(chunk));
  }

  *end(): Generator<RawRow> {
    yield* this.#rowsOf(this.#splitter.end());
    const fault = this.#parser.end();
    if (fault) yield fault;
  }

  *#rowsOf(lines: Iterable<Line>): Generator<RawRow> {
    for (const line of lines) {
      const row = this.#parser.take(line);
      if (row) yield row;
    }
  }
}

/** Cuts chunks into lines of at most `maxLineBytes`, holding no more than one of them. */
export class LineSplitter {
  readonly #maxLineBytes: number;
  readonly #lineEnd: number;
  #line = 1;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;

  constructor(maxLineBytes: number, lineEnd: LineEnd = LF) {
    this.#maxLineBytes = maxLineBytes;
    this.#lineEnd = lineEnd;
  }

  *push(chunk: Uint8Array): Generator<Line> {
    const last = chunk.lastIndexOf(this.#lineEnd);
    if (last >= 0) {
      const first = chunk.indexOf(this.#lineEnd);
      this.#keep(chunk.subarray(0, first));
      yield this.#finish();
      if (last > first) yield* this.#wholeLines(chunk.subarray(first + 1, last));
    }
    // The bytes are copied, because the chunk belongs to the reader of the network.
    this.#keep(chunk.slice(last + 1));
  }

  /** Yields the last line, if the file does not end with a line end. */
  *end(): Generator<Line> {
    if (this.#pendingBytes > 0) yield this.#finish();
  }

  /** Decodes many lines at once, because a call for each would take most of an upload's time. */
  *#wholeLines(bytes: Uint8Array): Generator<Line> {
    const block = bytes.byteLength > this.#maxLineBytes ? undefined : decodeUtf8(bytes);
    if (block !== undefined) {
      for (const content of block.split(String.fromCharCode(this.#lineEnd)))
        yield { line: this.#line++, content };
      return;
    }
    for (let begin = 0; begin <= bytes.byteLength; ) {
      const at = bytes.indexOf(this.#lineEnd, begin);
      const end = at < 0 ? bytes.byteLength : at;
      this.#keep(bytes.subarray(begin, end));
      yield this.#finish();
      begin = end + 1;
    }
  }

  /** Keeps a line's bytes. Beyond the limit it only counts them, so that an endless line costs no memory. */
  #keep(bytes: Uint8Array): void {
    this.#pendingBytes += bytes.byteLength;
    if (this.#pendingBytes > this.#maxLineBytes) this.#pending = [];
    else if (bytes.byteLength > 0) this.#pending.push(bytes);
  }

  #finish(): Line {
    const line = this.#line++;
    const isTooLong = this.#pendingBytes > this.#maxLineBytes;
    const bytes = joinBytes(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    if (isTooLong) return { line, error: `the row is longer than ${this.#maxLineBytes} bytes` };
    const content = decodeUtf8(bytes);
    return content === undefined
      ? { line, error: 'not valid UTF-8; save the file as UTF-8' }
      : { line, content };
  }
}

export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}
