import { BODY_IDLE_MS } from '../../shared/api/common.ts';
import { AppError } from '../../shared/errors.ts';

/** Joins chunks into one array; a single chunk is returned as it is. */
export function joinBytes(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0]!;
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

/** Reads everything, at most `maxBytes`; throws what `tooLarge` makes if there is more. */
export async function collectBytes(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
  tooLarge: () => Error,
): Promise<Uint8Array> {
  const kept: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) throw tooLarge();
    kept.push(chunk);
  }
  return joinBytes(kept);
}

/** Passes chunks on, at most `maxBytes`, and counts them in `read`; throws what `tooLarge` makes if there is more. */
export async function* limitBytes(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
  tooLarge: () => Error,
  read = { bytes: 0 },
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    read.bytes += chunk.byteLength;
    if (read.bytes > maxBytes) throw tooLarge();
    yield chunk;
  }
}

/** A request's body as it arrives; empty without one. Throws `malformed_body` if the client breaks it off or stops sending. */
export async function* requestBytes(request: Request): AsyncGenerator<Uint8Array> {
  if (!request.body) return;
  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader();
  try {
    for (let next = await read(reader); next; next = await read(reader)) yield next;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/**
 * Compressed bytes that are unpacked at once. They grow about a thousandfold at most, so this bounds how far a body made to burst exceeds
 * its route's limit.
 */
const GZIP_SLICE_BYTES = 2048;

/** Unpacks a gzipped body while it is read. Reading throws `malformed_body` if it breaks off or is no gzip. */
export function gunzip(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  return streamOf(unpacked(body));
}

async function* unpacked(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* streamOf(sliced(body)).pipeThrough<Uint8Array>(new DecompressionStream('gzip'));
  } catch (cause) {
    throw new AppError('malformed_body', 'The body breaks off, or is not gzip as Content-Encoding says.', {
      cause,
    });
  }
}

function streamOf(chunks: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull: async (controller) => {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: async () => void (await chunks.return(undefined)),
  });
}

async function* sliced(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    for (let at = 0; at < chunk.byteLength; at += GZIP_SLICE_BYTES) {
      yield chunk.subarray(at, at + GZIP_SLICE_BYTES);
    }
  }
}

async function read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array | undefined> {
  const silence = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const message = `The body stopped coming: nothing of it came for ${BODY_IDLE_MS / 1000} s.`;
    silence.reject(new AppError('malformed_body', message));
  }, BODY_IDLE_MS);
  try {
    return (await Promise.race([reader.read(), silence.promise])).value;
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError('malformed_body', 'The body broke off.', { cause });
  } finally {
    clearTimeout(timer);
  }
}
