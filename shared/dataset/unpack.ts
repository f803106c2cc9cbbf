import { MAX_UPLOAD_BYTES } from '../api/datasets.ts';
import { limitBytes } from '../bytes.ts';
import { AppError } from '../errors.ts';
import { gunzip } from '../gunzip.ts';

type Bytes = AsyncIterable<Uint8Array>;
const encoder = new TextEncoder();

export function refuseFile(message: string): AppError {
  return new AppError('invalid_dataset', message, { param: 'file' });
}

/** What a gzipped file holds, at most as much as a file may have that is not packed. */
export function unpackGzip(chunks: Bytes): AsyncGenerator<Uint8Array> {
  const broken = () =>
    refuseFile(
      'The file is broken gzip: it is cut short, or more follows after its end. Unpack it, and upload the file inside.',
    );
  const tooLarge = () => {
    const message = `Unpacked, the file has more than ${MAX_UPLOAD_BYTES} bytes; split it, or keep fewer rows.`;
    return new AppError('payload_too_large', message, { param: 'file' });
  };
  return limitBytes(gunzip(chunks, broken), MAX_UPLOAD_BYTES, tooLarge);
}

/** UTF-8 without its byte order mark. */
export async function* withoutMark(chunks: Bytes): AsyncGenerator<Uint8Array> {
  let left = 3;
  for await (const chunk of chunks) {
    const rest = chunk.subarray(left);
    left -= chunk.byteLength - rest.byteLength;
    yield rest;
  }
}

/** UTF-16 with a byte order mark as UTF-8 without one. */
export const fromUtf16 = (encoding: 'utf-16le' | 'utf-16be') =>
  async function* (chunks: Bytes): AsyncGenerator<Uint8Array> {
    const decoder = new TextDecoder(encoding, { fatal: true, ignoreBOM: false });
    const decode = (chunk?: Uint8Array) => {
      try {
        return encoder.encode(decoder.decode(chunk, { stream: chunk !== undefined }));
      } catch {
        throw refuseFile(
          'The file is broken UTF-16, cut short or with half a surrogate pair; save it as UTF-8.',
        );
      }
    };
    for await (const chunk of chunks) yield decode(chunk);
    yield decode();
  };
