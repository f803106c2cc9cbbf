/** Bytes of a block; an adapter takes whole blocks. */
export const BLOCK_BYTES = 16 * 1024;

/** Place of bytes in an `AdapterMemory`. */
export interface StoredBytes {
  /** Numbers of blocks, in the order of the bytes; the last one may be used in part. */
  readonly blocks: Uint32Array;
  readonly byteLength: number;
}

/** Bytes that stored bytes take. */
export function bytesTaken({ blocks }: StoredBytes): number {
  return blocks.length * BLOCK_BYTES;
}

/**
 * Memory for adapters that all threads share, in blocks of one buffer. Adapters that come and go leave no gaps and nothing to collect; a
 * thread that runs batches would have to pause to collect arrays. Pages never written take no memory.
 */
export class AdapterMemory {
  readonly buffer: SharedArrayBuffer;
  /** A stack of the free blocks; `#count` is its height. */
  readonly #free: Uint32Array;
  #count: number;

  /** @throws if the machine has no room for so many bytes */
  constructor(maxBytes: number) {
    const blocks = Math.floor(maxBytes / BLOCK_BYTES);
    try {
      this.buffer = new SharedArrayBuffer(blocks * BLOCK_BYTES);
    } catch (cause) {
      throw new Error(`there is no room for ${maxBytes} bytes of adapters in memory`, { cause });
    }
    // The lowest block is taken first.
    this.#free = Uint32Array.from({ length: blocks }, (_, i) => blocks - 1 - i);
    this.#count = blocks;
  }

  get maxBytes(): number {
    return this.buffer.byteLength;
  }

  /** Stores a copy; undefined if too little is free. */
  store(bytes: Uint8Array): StoredBytes | undefined {
    const wanted = Math.ceil(bytes.byteLength / BLOCK_BYTES);
    if (wanted > this.#count) return undefined;
    this.#count -= wanted;
    const blocks = this.#free.slice(this.#count, this.#count + wanted).reverse();
    for (const [i, block] of blocks.entries()) {
      const part = bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES);
      new Uint8Array(this.buffer, block * BLOCK_BYTES, part.byteLength).set(part);
    }
    return { blocks, byteLength: bytes.byteLength };
  }

  /** Frees bytes that no thread reads any more. */
  free({ blocks }: StoredBytes): void {
    this.#free.set(blocks.toReversed(), this.#count);
    this.#count += blocks.length;
  }
}

/** Reads stored bytes in any thread, one range after another. */
export class StoredBytesReader {
  readonly #memory: Uint8Array;
  /** Buffer as long as the longest range so far. */
  #range = new Uint8Array(0);

  constructor(buffer: SharedArrayBuffer) {
    this.#memory = new Uint8Array(buffer);
  }

  /** Bytes `begin` to `end` in one piece, valid until the next call. @throws {RangeError} if they are not all stored */
  read({ blocks, byteLength }: StoredBytes, begin = 0, end = byteLength): Uint8Array<ArrayBuffer> {
    if (begin < 0 || end > byteLength) throw new RangeError(`bytes ${begin} to ${end} of ${byteLength}`);
    const length = end - begin;
    if (length > this.#range.byteLength) this.#range = new Uint8Array(length);
    for (let at = begin; at < end; ) {
      const within = at % BLOCK_BYTES;
      const count = Math.min(BLOCK_BYTES - within, end - at);
      const from = blocks[Math.floor(at / BLOCK_BYTES)]! * BLOCK_BYTES + within;
      this.#range.set(this.#memory.subarray(from, from + count), at - begin);
      at += count;
    }
    return this.#range.subarray(0, length);
  }
}
