/** Bytes of one part. R2 takes 5 MiB to 5 GiB, every part equal but the last, which may be smaller. */
export const PART_BYTES = 8 * 1024 * 1024;
const FIRST_BUFFER_BYTES = 64 * 1024;

/** A part that R2 has stored, in the form in which R2 wants it listed at the end. */
interface UploadedPart {
  partNumber: number;
  etag: string;
}

/** The used methods of R2's multipart upload. */
export interface Multipart {
  uploadPart(partNumber: number, bytes: Uint8Array): Promise<UploadedPart>;
  complete(parts: UploadedPart[]): Promise<unknown>;
  abort(): Promise<void>;
}

/** Destination of the parts: one `put` if one buffer holds everything, otherwise a multipart upload begun when the first buffer is full. */
export interface PartTarget {
  put(bytes: Uint8Array): Promise<unknown>;
  begin(): Promise<Multipart>;
}

/**
 * Writes a stream of unknown length to R2 through one buffer, which grows to `partBytes` at most. Each part is sent before the buffer is
 * filled again, so an upload's memory does not depend on its size.
 */
export class PartWriter {
  bytes = 0;
  readonly #target: PartTarget;
  readonly #partBytes: number;
  #buffer: Uint8Array;
  #used = 0;
  #multipart: Multipart | undefined;
  readonly #parts: UploadedPart[] = [];

  constructor(target: PartTarget, partBytes = PART_BYTES) {
    this.#target = target;
    this.#partBytes = partBytes;
    this.#buffer = new Uint8Array(Math.min(FIRST_BUFFER_BYTES, partBytes));
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.bytes += chunk.byteLength;
    let rest = chunk;
    while (rest.byteLength > 0) {
      if (this.#used === this.#partBytes) await this.#sendPart();
      const take = rest.subarray(0, this.#partBytes - this.#used);
      this.#reserve(this.#used + take.byteLength);
      this.#buffer.set(take, this.#used);
      this.#used += take.byteLength;
      rest = rest.subarray(take.byteLength);
    }
  }

  /** Completes the object; then all of it is there. */
  async finish(): Promise<void> {
    if (!this.#multipart) {
      await this.#target.put(this.#buffer.subarray(0, this.#used));
      return;
    }
    if (this.#used > 0) await this.#sendPart();
    await this.#multipart.complete(this.#parts);
  }

  /** Drops the parts sent so far; throws if the upload is already complete. */
  async abort(): Promise<void> {
    await this.#multipart?.abort();
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#buffer.byteLength) return;
    const size = Math.min(this.#partBytes, Math.max(bytes, this.#buffer.byteLength * 2));
    const larger = new Uint8Array(size);
    larger.set(this.#buffer.subarray(0, this.#used));
    this.#buffer = larger;
  }

  async #sendPart(): Promise<void> {
    this.#multipart ??= await this.#target.begin();
    const bytes = this.#buffer.subarray(0, this.#used);
    this.#parts.push(await this.#multipart.uploadPart(this.#parts.length + 1, bytes));
    this.#used = 0;
  }
}
