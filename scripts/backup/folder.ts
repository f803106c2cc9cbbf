import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type BundleFile, bundleFile, layoutOf, sha256Hex } from '../../shared/adapter-format.ts';
import { adapterRef, parseAdapterRef } from '../../shared/api/common.ts';

/*
 * A backup is a folder with one of each version, `NAME@VERSION`, in it: the adapter's files as they are, and
 * `backup.json`, which is written last. So a version is whole where it has one. Datasets lie in `files`, each by the id that it had: its rows, and
 * what the platform said of it (`datasets.ts`).
 */

const RECORD_FILE = 'backup.json';

const backupRecord = z.strictObject({
  format: z.literal(1),
  id: adapterRef,
  /** Of each of its files, which are those of one layout. */
  sha256: z
    .partialRecord(bundleFile, sha256Hex)
    .refine((files) => layoutOf(Object.keys(files)) !== undefined, 'not the files of an adapter'),
  /** What the platform said of it; for people, as an import takes what it needs from the files. */
  adapter: z.record(z.string(), z.unknown()),
});
export type BackupRecord = z.infer<typeof backupRecord>;

/** The files of a version, and the SHA-256 of each. */
export function filesOf({ sha256 }: BackupRecord): [BundleFile, string][] {
  return Object.entries(sha256) as [BundleFile, string][];
}

export const folderOf = (root: string, id: string) => join(root, id);

/** The versions in a backup, by name and then by number. Folders with other names are ignored. */
export async function versionsIn(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true });
  const ids = entries.filter((entry) => entry.isDirectory() && adapterRef.safeParse(entry.name).success);
  return ids
    .map(({ name }) => name)
    .filter((id) => parseAdapterRef(id).version !== undefined)
    .sort((a, b) => {
      const [first, second] = [parseAdapterRef(a), parseAdapterRef(b)];
      return first.name < second.name ? -1 : first.name > second.name ? 1 : first.version! - second.version!;
    });
}

/** The record of a version; undefined if its backup was interrupted. @throws where the file is no such record */
export async function readRecord(root: string, id: string): Promise<BackupRecord | undefined> {
  const path = join(folderOf(root, id), RECORD_FILE);
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const parsed = backupRecord.safeParse(JSON.parse(text));
  if (parsed.success && parsed.data.id === id) return parsed.data;
  throw new Error(`${path} is no record of a backup of ${id}`);
}

export async function writeRecord(root: string, record: BackupRecord): Promise<void> {
  const bytes = new TextEncoder().encode(`${JSON.stringify(record, null, 2)}\n`);
  await writeWhole(join(folderOf(root, record.id), RECORD_FILE), [bytes]);
}

/** The SHA-256 of a file; undefined if there is no file. */
export async function hashOf(path: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  return hash.digest('hex');
}

/** Writes a file completely and with this hash, or not at all. */
export async function writeWhole(
  path: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  sha256?: string,
): Promise<void> {
  const part = `${path}.part`;
  const hash = createHash('sha256');
  const handle = await open(part, 'w');
  try {
    for await (const chunk of chunks) {
      hash.update(chunk);
      await handle.write(chunk);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  if (sha256 !== undefined && hash.digest('hex') !== sha256) {
    await rm(part);
    throw new Error(`${path} arrived with another SHA-256 than ${sha256}`);
  }
  await rename(part, path);
}
