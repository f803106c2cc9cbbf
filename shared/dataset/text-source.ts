import { joinBytes } from '../bytes.ts';
import { refuseFile, refuseOtherKinds, SIGNATURE_BYTES } from './file-kinds.ts';

const encoder = new TextEncoder();

/**
 * A file as UTF-8 without its byte order mark; UTF-16 with a byte order mark is converted as it arrives. Throws `invalid_dataset` for any
 * other encoding.
 */
export async function* readText(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = chunks[Symbol.asyncIterator]();
  try {
    const start = await readStart(source);
    refuseOtherKinds(start);
    const [a, b, c] = start;
    if (a === 0xff && b === 0xfe) yield* fromUtf16('utf-16le', start, source);
    else if (a === 0xfe && b === 0xff) yield* fromUtf16('utf-16be', start, source);
    else {
      yield a === 0xef && b === 0xbb && c === 0xbf ? start.subarray(3) : start;
      yield* rest(source);
    }
  } finally {
    await source.return?.();
  }
}

async function readStart(source: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let bytes = 0; bytes < SIGNATURE_BYTES; ) {
    const { done, value } = await source.next();
    if (done) break;
    // The bytes are copied, because the chunk belongs to the reader of the network.
    chunks.push(value.slice());
    bytes += value.byteLength;
  }
  return joinBytes(chunks);
}

async function* rest(source: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (let next = await source.next(); !next.done; next = await source.next()) yield next.value;
}

async function* fromUtf16(
  encoding: 'utf-16le' | 'utf-16be',
  start: Uint8Array,
  source: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const decoder = new TextDecoder(encoding, { fatal: true, ignoreBOM: false });
  try {
    yield encoder.encode(decoder.decode(start, { stream: true }));
    for await (const chunk of rest(source)) yield encoder.encode(decoder.decode(chunk, { stream: true }));
    decoder.decode();
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause;
    throw refuseFile('The file is broken UTF-16, cut short or with half a surrogate pair; save it as UTF-8.');
  }
}
