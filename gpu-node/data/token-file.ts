import { closeSync, openSync, readSync, writeSync } from 'node:fs';

/** Ids that are written at once. */
const BUFFERED_IDS = 65_536;
const ID_BYTES = Int32Array.BYTES_PER_ELEMENT;

/**
 * Token ids of many texts, one text after the other, in a file of 32-bit integers: what is trained on lies on disk, and of it
 * a batch at a time is in memory. Written from start to end, then read at any place. Calls are synchronous: a batch
 * is a few kilobytes of the page cache, which costs less than asking another thread for it.
 */
export class TokenFile {
  readonly #descriptor: number;
  readonly #buffer = new Int32Array(BUFFERED_IDS);
  #buffered = 0;
  #written = 0;

  /** Creates the file, or empties it. @throws the system's error, as every method does */
  constructor(path: string) {
    this.#descriptor = openSync(path, 'w+');
  }

  /** Ids that were appended. */
  get length(): number {
    return this.#written + this.#buffered;
  }

  /** Adds the ids of a text. */
  append(ids: Int32Array): void {
    if (this.#buffered + ids.length > BUFFERED_IDS) this.flush();
    if (ids.length > BUFFERED_IDS) this.#write(ids);
    else {
      this.#buffer.set(ids, this.#buffered);
      this.#buffered += ids.length;
    }
  }

  /** Writes what `append` has kept back; to be called before the first `read`. */
  flush(): void {
    this.#write(this.#buffer.subarray(0, this.#buffered));
    this.#buffered = 0;
  }

  /** The `count` ids from the given one on. */
  read(first: number, count: number): Int32Array {
    const ids = new Int32Array(count);
    for (let done = 0; done < ids.byteLength; ) {
      const left = ids.byteLength - done;
      const bytes = readSync(this.#descriptor, ids, done, left, first * ID_BYTES + done);
      if (bytes === 0) throw new Error(`the token file ends before id ${first + count}`);
      done += bytes;
    }
    return ids;
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #write(ids: Int32Array): void {
    for (let done = 0; done < ids.byteLength; ) {
      const at = this.#written * ID_BYTES + done;
      done += writeSync(this.#descriptor, ids, done, ids.byteLength - done, at);
    }
    this.#written += ids.length;
  }
}
