import { joinBytes } from '../bytes.ts';
import { kindOf, SIGNATURE_BYTES } from './file-kinds.ts';
import type { Columns } from './find-in-row.ts';
import { CR, LF, type LineEnd, type RowReader } from './rows.ts';
import { refuseFile } from './unpack.ts';

/** Most bytes of a header line. */
const MAX_HEAD_BYTES = 64 * 1024;

/** A file that is told from its content: the reader of its rows, and the bytes for it. */
interface OpenFile {
  reader: RowReader;
  rest: AsyncIterator<Uint8Array>;
}

/** Opens a file through whatever wraps it. Throws `invalid_dataset`, which says what the file is and what to do. */
export async function openFile(chunks: AsyncIterable<Uint8Array>, columns: Columns): Promise<OpenFile> {
  let source = chunks[Symbol.asyncIterator]();
  const unwrapped = new Set<unknown>();
  try {
    for (;;) {
      const head = await readHead(source);
      const start = head.findIndex(isInk);
      if (start < 0 && head.byteLength < MAX_HEAD_BYTES) throw refuseFile('The file is empty.');
      // Many blanks tell no kind.
      const kind = kindOf(start < SIGNATURE_BYTES ? head : head.subarray(start));
      const whole = following(head, source);
      if ('read' in kind) return { reader: kind.read(columns, lineEndOf(head)), rest: whole };
      if ('remedy' in kind) throw refuseFile(`The file is ${kind.is}: ${kind.remedy}.`);
      if (unwrapped.has(kind.unwrap))
        throw refuseFile(`The file is ${kind.is} twice: unpack it, and upload the file inside.`);
      unwrapped.add(kind.unwrap);
      source = kind.unwrap(whole);
    }
  } catch (error) {
    await source.return?.();
    throw error;
  }
}

/** The bytes of `head`, then what follows. */
async function* following(head: Uint8Array, source: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield head;
    for (let next = await source.next(); !next.done; next = await source.next()) yield next.value;
  } finally {
    await source.return?.();
  }
}

/** Everything up to the end of the first line that is not blank, and enough to tell a kind. */
async function readHead(source: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let [isInLine, isLineOver] = [false, false];
  while (bytes < SIGNATURE_BYTES || (!isLineOver && bytes < MAX_HEAD_BYTES)) {
    const { done, value } = await source.next();
    if (done) break;
    // The bytes are copied, because the chunk belongs to the reader of the network.
    chunks.push(value.slice());
    bytes += value.byteLength;
    const start: number = isInLine ? 0 : value.findIndex(isInk);
    isInLine ||= start >= 0;
    isLineOver ||= isInLine && value.subarray(start).some(endsLine);
  }
  return joinBytes(chunks);
}

function isInk(byte: number): boolean {
  return byte > 0x20;
}

/** True for a byte that ends a line; a `\r` at the end of the bytes may be part of a CRLF. */
function endsLine(byte: number, at: number, bytes: Uint8Array): boolean {
  return byte === LF || (byte === CR && at + 1 < bytes.byteLength && bytes[at + 1] !== CR);
}

/** The byte that ends lines: CR if the first line ends so, as old Macs wrote; a CRLF, or the `\r\r\n` of a conversion, ends at its LF. */
function lineEndOf(bytes: Uint8Array): LineEnd {
  const head = bytes.subarray(0, MAX_HEAD_BYTES);
  const first = head.findIndex((byte) => byte === LF || byte === CR);
  const next = head.subarray(Math.max(0, first)).find((byte) => byte !== CR);
  return first >= 0 && head[first] === CR && next !== LF ? CR : LF;
}
