import { BODY_IDLE_MS } from '../../shared/api/common.ts';
import { limitBytes } from '../../shared/bytes.ts';
import { AppError } from '../../shared/errors.ts';
import { gunzip, streamOf } from '../../shared/gunzip.ts';

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

/** Unpacks a gzipped body while it is read. Reading throws `malformed_body` if it breaks off or is no gzip. */
export function gunzipBody(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const message = 'The body breaks off, or is not gzip as Content-Encoding says.';
  return streamOf(gunzip(body, (cause) => new AppError('malformed_body', message, { cause })));
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

/** A request's body as it arrives, at most `maxBytes`, whether or not its length is declared. */
export function boundedBody(request: Request, maxBytes: number, what: string): AsyncGenerator<Uint8Array> {
  const tooLarge = () => new AppError('payload_too_large', `${what} may have at most ${maxBytes} bytes.`);
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge();
  return limitBytes(requestBytes(request), maxBytes, tooLarge);
}
