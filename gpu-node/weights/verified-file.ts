import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { FileIdentity } from './base-models.ts';

const READ_BYTES = 1024 * 1024;

/** SHA-256 of a file, in lower-case hexadecimal. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  // One buffer serves the whole file: a stream's many buffers would stay in the process's memory (docs/operations.md, Sizes).
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  await using file = await open(path);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, READ_BYTES);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(buffer.subarray(0, bytesRead));
  }
}

/** Undefined if the file is as expected; else a description of what it is instead. */
export async function differenceOf(path: string, expected: FileIdentity): Promise<string | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) return 'is not there';
  if (found.size !== expected.bytes) return `has ${found.size} bytes, ${expected.bytes} are expected`;
  const sha256 = await sha256OfFile(path);
  return sha256 === expected.sha256 ? undefined : `has SHA-256 ${sha256}, ${expected.sha256} is expected`;
}

/**
 * Writes a stream to a file and checks it on the way. It stops as soon as there are too many bytes. The caller renames the file to its
 * final name, so that nothing unchecked ever has that name.
 * @param onBytes called with the bytes written so far
 */
export async function writeVerified(
  source: Readable,
  path: string,
  expected: FileIdentity,
  onBytes: (bytes: number) => void,
): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > expected.bytes)
        return done(new Error(`more than the ${expected.bytes} bytes expected came`));
      hash.update(chunk);
      onBytes(bytes);
      done(null, chunk);
    },
  });
  await pipeline(source, check, createWriteStream(path));
  const sha256 = hash.digest('hex');
  if (bytes !== expected.bytes) throw new Error(`${bytes} bytes came, ${expected.bytes} are expected`);
  if (sha256 !== expected.sha256) throw new Error(`SHA-256 is ${sha256}, ${expected.sha256} is expected`);
}
