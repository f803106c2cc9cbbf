import type { AppError } from '../../shared/errors.ts';
import { unixNow } from '../clock.ts';
import type { Db } from '../db/client.ts';
import { beginObject, expireUnclaimed, finishObject } from '../db/objects.ts';
import type { Env } from '../env.ts';
import { toHex } from '../hashing.ts';
import { type Multipart, type PartTarget, PartWriter } from './part-writer.ts';

type Storage = Pick<Env, 'BUCKET'>;

/** A complete object: its size and SHA-256 in lower-case hexadecimal. */
export interface Stored {
  bytes: number;
  sha256: string;
}

/**
 * Streams an object of unknown length into R2, in bounded memory, and hashes it on the way. The ledger records it before its first byte. It
 * stays unclaimed, so the sweep takes it if its request does not claim it.
 */
export class ObjectWriter {
  readonly #db: Db;
  readonly #key: string;
  readonly #parts: PartWriter;
  readonly #digest = new crypto.DigestStream('SHA-256');
  readonly #hash = this.#digest.getWriter();

  constructor(env: Storage, db: Db, key: string) {
    this.#db = db;
    this.#key = key;
    this.#parts = new PartWriter(target(env.BUCKET, db, key));
    // `abort` rejects the digest when nobody asks for it any more.
    this.#digest.digest.catch(() => {});
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#hash.write(bytes);
    await this.#parts.write(bytes);
  }

  async finish(): Promise<Stored> {
    await this.#parts.finish();
    await this.#hash.close();
    const sha256 = toHex(new Uint8Array(await this.#digest.digest));
    const stored = { bytes: this.#parts.bytes, sha256 };
    await finishObject(this.#db, this.#key, stored);
    return stored;
  }

  /** Drops what has been sent; the next sweep takes an object that is complete and unclaimed. */
  async abort(): Promise<void> {
    await this.#hash.abort().catch(() => {});
    await this.#parts.abort().catch(() => {});
    await expireUnclaimed(this.#db, this.#key, unixNow()).catch(() => {});
  }
}

function target(bucket: R2Bucket, db: Db, key: string): PartTarget {
  return {
    put: async (bytes) => {
      await beginObject(db, key, unixNow(), null);
      await bucket.put(key, bytes);
    },
    begin: async (): Promise<Multipart> => {
      const upload = await bucket.createMultipartUpload(key);
      await beginObject(db, key, unixNow(), upload.uploadId);
      return upload;
    },
  };
}

/** Stores all of `chunks` under `key`, or nothing if they fail. Throws what `chunks` throws. */
export async function putStream(
  env: Storage,
  db: Db,
  key: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<Stored> {
  const writer = new ObjectWriter(env, db, key);
  try {
    for await (const chunk of chunks) await writer.write(chunk);
    return await writer.finish();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** Stores bytes that are already in memory. */
export async function putBytes(env: Storage, db: Db, key: string, bytes: Uint8Array): Promise<Stored> {
  const writer = new ObjectWriter(env, db, key);
  await writer.write(bytes);
  return writer.finish();
}

/** An object's body as an answer, with its length. Throws `missing` if there is no object. */
export async function serveObject(
  env: Storage,
  key: string,
  headers: Record<string, string>,
  missing: AppError,
): Promise<Response> {
  const object = await env.BUCKET.get(key);
  if (!object) throw missing;
  return new Response(object.body, { headers: { ...headers, 'content-length': String(object.size) } });
}
