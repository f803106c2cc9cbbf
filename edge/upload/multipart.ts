import { collectBytes } from '../../shared/bytes.ts';
import { AppError } from '../../shared/errors.ts';
import { parseDisposition } from './disposition.ts';

const CR = 0x0d;
const MAX_PART_HEADER_BYTES = 8 * 1024;
const MAX_PARTS = 16;
const CRLF = ascii('\r\n');
const HEADER_END = ascii('\r\n\r\n');
const utf8 = new TextDecoder();

/** One part of a multipart body. Read `body` once and before the next part; the rest of it is skipped. */
export interface Part {
  name: string;
  /** The client's unchecked file name; undefined for a plain field. */
  filename: string | undefined;
  body: AsyncIterable<Uint8Array>;
}

/** The boundary of a `multipart/form-data` content type. Throws `unsupported_media_type`, or `malformed_body` without one. */
export function boundaryOf(contentType: string | null | undefined): string {
  if (!/^multipart\/form-data(\s*;|$)/i.test(contentType ?? '')) {
    throw new AppError('unsupported_media_type', 'This route takes multipart/form-data.');
  }
  const match = /;\s*boundary=(?:"([^"]+)"|([^\s;"]+))/i.exec(contentType!);
  const boundary = match?.[1] ?? match?.[2];
  if (boundary === undefined || boundary.length > 70) {
    throw new AppError('malformed_body', 'multipart/form-data needs a boundary of 1 to 70 characters.');
  }
  return boundary;
}

/**
 * Reads a multipart/form-data body (RFC 7578) part by part. Memory holds one network chunk and the last one's final bytes, as long as a
 * delimiter. Throws `malformed_body`, and `payload_too_large` if the whole body exceeds `maxBytes`.
 *
 * It is written here because the usual libraries hold a part whole, miss a delimiter split between two chunks, or need Node's streams with
 * queues of their own.
 */
export async function* readParts(
  body: AsyncIterable<Uint8Array>,
  boundary: string,
  maxBytes: number,
): AsyncGenerator<Part> {
  const scanner = new Scanner(body, maxBytes);
  const delimiter = ascii(`\r\n--${boundary}`);
  try {
    await skip(scanner.until(delimiter));
    for (let count = 0; !(await scanner.isNext('--')); count++) {
      if (count === MAX_PARTS) throw malformed(`there are more than ${MAX_PARTS} parts`);
      const header = await readHeader(scanner);
      const part = scanner.until(delimiter);
      yield { ...header, body: { [Symbol.asyncIterator]: () => ({ next: () => part.next() }) } };
      await skip(part);
    }
    await scanner.end();
  } finally {
    await scanner.cancel();
  }
}

/** Reads a small part whole. Throws `payload_too_large` beyond `maxBytes`. */
export async function readBytes(part: Part, maxBytes: number): Promise<Uint8Array> {
  return collectBytes(part.body, maxBytes, () => {
    const message = `"${part.name}" is larger than ${maxBytes} bytes.`;
    return new AppError('payload_too_large', message, { param: part.name });
  });
}

/** A field's value as text. Throws as `readBytes` does. */
export async function readField(part: Part, maxBytes: number): Promise<string> {
  return utf8.decode(await readBytes(part, maxBytes));
}

async function readHeader(scanner: Scanner): Promise<{ name: string; filename: string | undefined }> {
  // The line end after the delimiter stays: a part without headers is then just two line ends.
  if (!(await scanner.isNext('\r\n')))
    throw malformed('a delimiter is followed by neither a line end nor "--"');
  const header = await collectBytes(scanner.until(HEADER_END), MAX_PART_HEADER_BYTES, () =>
    malformed("a part's headers are too long"),
  );
  const disposition = /^content-disposition:(.*)$/im.exec(utf8.decode(header))?.[1] ?? '';
  const { name, filename } = parseDisposition(disposition);
  if (name === undefined) throw malformed('a part has no Content-Disposition with a name');
  return { name, filename };
}

async function skip(chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of chunks);
}

function malformed(why: string): AppError {
  return new AppError('malformed_body', `The multipart body is malformed: ${why}.`);
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Walks a byte stream from delimiter to delimiter. It puts a line end first, so that the first delimiter is like the others. */
class Scanner {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #maxBytes: number;
  #read = 0;
  #bytes = CRLF;

  constructor(body: AsyncIterable<Uint8Array>, maxBytes: number) {
    this.#source = body[Symbol.asyncIterator]();
    this.#maxBytes = maxBytes;
  }

  /** Yields the bytes up to the next delimiter, and passes over it. */
  async *until(delimiter: Uint8Array): AsyncGenerator<Uint8Array> {
    for (;;) {
      const at = find(this.#bytes, delimiter);
      const isWhole = at >= 0 && at + delimiter.byteLength <= this.#bytes.byteLength;
      const before = this.#bytes.subarray(0, at < 0 ? this.#bytes.byteLength : at);
      this.#bytes = this.#bytes.subarray(before.byteLength + (isWhole ? delimiter.byteLength : 0));
      if (before.byteLength > 0) yield before;
      if (isWhole) return;
      await this.#fill();
    }
  }

  async isNext(text: string): Promise<boolean> {
    while (this.#bytes.byteLength < text.length) await this.#fill();
    return startsWith(this.#bytes, ascii(text), 0);
  }

  /** Reads on behind the last delimiter: the text there means nothing, but a compressed body is only checked at its end. */
  async end(): Promise<void> {
    while (await this.#next());
  }

  async cancel(): Promise<void> {
    await this.#source.return?.();
  }

  async #next(): Promise<Uint8Array | undefined> {
    const { done, value } = await this.#source.next();
    if (done) return undefined;
    this.#read += value.byteLength;
    if (this.#read > this.#maxBytes) {
      throw new AppError('payload_too_large', `The body is larger than ${this.#maxBytes} bytes.`);
    }
    return value;
  }

  async #fill(): Promise<void> {
    const value = await this.#next();
    if (!value) throw malformed('it ends before its closing delimiter');
    const rest = this.#bytes;
    this.#bytes = rest.byteLength === 0 ? value : new Uint8Array(rest.byteLength + value.byteLength);
    if (rest.byteLength === 0) return;
    this.#bytes.set(rest);
    this.#bytes.set(value, rest.byteLength);
  }
}

/**
 * First index of `delimiter` in `bytes`, or of its beginning at their end; -1 if neither. A delimiter begins with CR, and holds no other
 * except in "\r\n\r\n".
 */
function find(bytes: Uint8Array, delimiter: Uint8Array): number {
  for (let at = bytes.indexOf(CR); at >= 0; at = bytes.indexOf(CR, at + 1)) {
    if (startsWith(bytes, delimiter, at)) return at;
  }
  return -1;
}

/** True if `bytes` from `at` on, as far as they go, are those of `delimiter`. */
function startsWith(bytes: Uint8Array, delimiter: Uint8Array, at: number): boolean {
  const length = Math.min(delimiter.byteLength, bytes.byteLength - at);
  for (let i = 0; i < length; i++) {
    if (bytes[at + i] !== delimiter[i]) return false;
  }
  return true;
}
