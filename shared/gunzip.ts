/**
 * Compressed bytes that are unpacked at once. They grow about a thousandfold at most, so this bounds how far a file made to burst exceeds
 * the limit of its reader.
 */
const SLICE_BYTES = 2048;

/** Unpacks gzip while it is read. Throws what `broken` makes where the bytes break off or are no gzip, and whatever `chunks` throws. */
export async function* gunzip(
  chunks: AsyncIterable<Uint8Array>,
  broken: (cause: unknown) => Error,
): AsyncGenerator<Uint8Array> {
  // The stream may give another error than the one with which its source ended.
  const source: { error?: unknown } = {};
  const noted = async function* () {
    try {
      yield* sliced(chunks);
    } catch (error) {
      source.error = error;
      throw error;
    }
  };
  try {
    yield* streamOf(noted()).pipeThrough<Uint8Array>(new DecompressionStream('gzip'));
  } catch (cause) {
    throw source.error ?? broken(cause);
  }
}

/** A stream that is pulled from a generator, and ends it when it is cancelled. */
export function streamOf(chunks: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull: async (controller) => {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: async () => void (await chunks.return(undefined)),
  });
}

async function* sliced(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.byteLength; at += SLICE_BYTES) yield chunk.subarray(at, at + SLICE_BYTES);
  }
}
