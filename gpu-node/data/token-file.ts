import { closeSync, openSync, readSync, writeSync } from 'node:fs';

/** Ids written at once. */
const BUFFERED_IDS = 65_536;
const ID_BYTES = Int32Array.BYTES_PER_ELEMENT;

/**
 * Token ids of many texts, one text after another, in a file of 32-bit integers. The data lies on disk, and only a batch at a time is in
 * memory. The file is written from start to end and then read at any place. Calls are synchronous: a batch is a few kilobytes of the page
 * cache, which costs less than asking another thread.
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

  /** Number of appended ids. */
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

  /** Writes the ids that `append` has kept back; call it before the first `read`. */
  flush(): void {
    this.#write(this.#buffer.subarray(0, this.#buffered));
    this.#buffered = 0;
  }

  /** `count` ids from number `first` on. */
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
