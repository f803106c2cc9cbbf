import { AppError } from '../../shared/errors.ts';
import { collectBytes } from './bytes.ts';
import { parseDisposition } from './disposition.ts';

const CR = 0x0d;
const MAX_PART_HEADER_BYTES = 8 * 1024;
const MAX_PARTS = 16;
const CRLF = ascii('\r\n');
const HEADER_END = ascii('\r\n\r\n');
const utf8 = new TextDecoder();

/** One part of a multipart body. `body` is read once and before the next part; what is left of it is skipped. */
export interface Part {
  name: string;
  /** As the client gave it, unchecked; undefined for a plain field. */
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
 * Reads a multipart/form-data body (RFC 7578) part by part, holding one network chunk and a delimiter's length of the
 * last. Throws `malformed_body`, and `payload_too_large` beyond `maxBytes` of the whole body.
 *
 * Written here because the libraries in use hold a part whole, miss a delimiter that is split between two chunks, or
 * need Node's streams with queues of their own.
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

/** A small part, whole. Throws `payload_too_large` beyond `maxBytes`. */
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

/** Walks a byte stream from delimiter to delimiter. It begins with a line end, so that the first delimiter is like the others. */
class Scanner {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #maxBytes: number;
  #read = 0;
  #bytes = CRLF;

  constructor(body: AsyncIterable<Uint8Array>, maxBytes: number) {
    this.#source = body[Symbol.asyncIterator]();
    this.#maxBytes = maxBytes;
  }

  /** The bytes up to the next delimiter, which is passed over. */
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

  /** Reads what follows the last delimiter, which means nothing; but a compressed body is only whole at its end. */
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

/** Where `delimiter`, or at the end a beginning of it, first stands in `bytes`; -1 if nowhere. It begins with CR and holds no other but in "\r\n\r\n". */
function find(bytes: Uint8Array, delimiter: Uint8Array): number {
  for (let at = bytes.indexOf(CR); at >= 0; at = bytes.indexOf(CR, at + 1)) {
    if (startsWith(bytes, delimiter, at)) return at;
  }
  return -1;
}

/** Whether `bytes` from `at` on, as far as they go, are those of `delimiter`. */
function startsWith(bytes: Uint8Array, delimiter: Uint8Array, at: number): boolean {
  const length = Math.min(delimiter.byteLength, bytes.byteLength - at);
  for (let i = 0; i < length; i++) {
    if (bytes[at + i] !== delimiter[i]) return false;
  }
  return true;
}
