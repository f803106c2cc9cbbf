import { joinBytes } from '../bytes.ts';

/** A row of the file, not yet checked, or the fault of one. `line` counts from 1, a header included. */
export type RawRow = { line: number; row: unknown } | BadRow;

export interface BadRow {
  line: number;
  error: string;
  /** True if the fault may hide other rows, or nothing can follow it: leaving it out would leave out more than itself. */
  isFatal?: boolean;
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
// A byte order mark counts as text unless it starts the file.
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Cuts chunks into lines of at most `maxLineBytes`, holding no more than one of them. */
export class LineSplitter {
  readonly #maxLineBytes: number;
  readonly #lineEnd: number;
  #line = 1;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;

  constructor(maxLineBytes: number, lineEnd: typeof LF | typeof CR = LF) {
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

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}
