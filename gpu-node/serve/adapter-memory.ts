/** What an adapter takes a multiple of. */
export const BLOCK_BYTES = 16 * 1024;

/** Where bytes lie in an `AdapterMemory`. */
export interface StoredBytes {
  /** Numbers of blocks, in the order of the bytes; of the last one a part may be used. */
  readonly blocks: Uint32Array;
  readonly byteLength: number;
}

/** What stored bytes take. */
export function bytesTaken({ blocks }: StoredBytes): number {
  return blocks.length * BLOCK_BYTES;
}

/**
 * Memory for adapters that all threads share, in blocks of one buffer: whatever comes and goes leaves no gaps, and nothing to collect
 * for a thread that runs batches, where every ten adapters' arrays would cost it a pause. Pages never written take no memory.
 */
export class AdapterMemory {
  readonly buffer: SharedArrayBuffer;
  /** A stack of the blocks that are free, as far as `#count`. */
  readonly #free: Uint32Array;
  #count: number;

  /** @throws where the machine has no room for so many bytes */
  constructor(maxBytes: number) {
    const blocks = Math.floor(maxBytes / BLOCK_BYTES);
    try {
      this.buffer = new SharedArrayBuffer(blocks * BLOCK_BYTES);
    } catch (cause) {
      throw new Error(`there is no room for ${maxBytes} bytes of adapters in memory`, { cause });
    }
    // The lowest is taken first.
    this.#free = Uint32Array.from({ length: blocks }, (_, i) => blocks - 1 - i);
    this.#count = blocks;
  }

  get maxBytes(): number {
    return this.buffer.byteLength;
  }

  /** Keeps a copy; undefined where too little is free. */
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

  /** Gives up what no thread reads any more. */
  free({ blocks }: StoredBytes): void {
    this.#free.set(blocks.toReversed(), this.#count);
    this.#count += blocks.length;
  }
}

/** Reads stored bytes in any thread, one range after the other. */
export class StoredBytesReader {
  readonly #memory: Uint8Array;
  /** As long as the longest range so far. */
  #range = new Uint8Array(0);

  constructor(buffer: SharedArrayBuffer) {
    this.#memory = new Uint8Array(buffer);
  }

  /** Bytes `begin` to `end` in one piece, until the next call. @throws {RangeError} where they are not all stored */
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
