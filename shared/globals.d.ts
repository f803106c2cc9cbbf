/**
 * Globals that every JavaScript runtime has and no `lib` of the language describes. Declaring them here frees `shared` of Node's and
 * Workers' types.
 */
declare class TextEncoder {
  encode(input?: string): Uint8Array<ArrayBuffer>;
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(input?: Uint8Array, options?: { stream?: boolean }): string;
}
declare class ReadableStream<T> {
  constructor(source: {
    pull(controller: { enqueue(chunk: T): void; close(): void }): Promise<void>;
    cancel(): Promise<void>;
  });
  pipeThrough<U>(through: DecompressionStream): ReadableStream<U>;
  [Symbol.asyncIterator](): AsyncIterableIterator<T>;
}
declare class DecompressionStream {
  constructor(format: 'gzip');
}
