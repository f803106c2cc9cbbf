import { type FileHandle, open } from 'node:fs/promises';

/** Bytes read at once. */
const CHUNK_BYTES = 256 * 1024;

/** A file as the body of a request. */
export interface FileBody {
  stream: ReadableStream<Uint8Array>;
  bytes: number;
}

/**
 * Opens the file as a body for `send`, and closes it when `send` has settled. A request may end before its body does: the other side
 * answers early or hangs up, or the request is given up. fetch then drops the body, sometimes without cancelling it, so the file is closed
 * here; reading on only fails the stream, which nobody holds any more. Node's own adapters (`Readable.toWeb`, an iterable as a body) throw
 * in this case where nobody can catch it, which ends the process.
 */
export async function withFileBody<T>(path: string, send: (body: FileBody) => Promise<T>): Promise<T> {
  await using file = await open(path);
  return await send({ stream: streamOf(file), bytes: (await file.stat()).size });
}

function streamOf(file: FileHandle): ReadableStream<Uint8Array> {
  return new ReadableStream({
    // An exception or rejection here becomes the stream's error.
    async pull(controller) {
      const { buffer, bytesRead } = await file.read(new Uint8Array(CHUNK_BYTES));
      if (bytesRead === 0) controller.close();
      else controller.enqueue(buffer.subarray(0, bytesRead));
    },
  });
}
