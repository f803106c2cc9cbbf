import { openAsBlob } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { sha256Hex } from '../../shared/adapter-format.ts';
import type { File } from '../../shared/api/datasets.ts';
import { type BackupApi, rowsOf } from './api.ts';
import { hashOf, writeWhole } from './folder.ts';

type Say = (line: string) => void;

const FOLDER = 'files';
const fileId = z.string().regex(/^file_[0-9a-f]{1,64}$/);

const datasetRecord = z.strictObject({
  format: z.literal(1),
  id: fileId,
  sha256: sha256Hex,
  filename: z.string().min(1),
  examples: z.number(),
});
type DatasetRecord = z.infer<typeof datasetRecord>;

const rowsPath = (root: string, id: string) => join(root, FOLDER, `${id}.jsonl`);
const recordPath = (root: string, id: string) => join(root, FOLDER, `${id}.json`);

/** Saves every dataset's rows, in the form in which they are trained on. Reports each failure and returns how many there were. */
export async function backUpFiles(api: BackupApi, root: string, say: Say): Promise<number> {
  let failures = 0;
  for (const { id, filename, examples } of await api.files()) {
    try {
      const [sha256, added] = await saveRows(api, root, fileId.parse(id));
      const record: DatasetRecord = { format: 1, id, sha256, filename, examples };
      await writeWhole(recordPath(root, id), [new TextEncoder().encode(`${JSON.stringify(record)}\n`)]);
      say(`${id}  ${added ? 'saved' : 'is there'}  ${filename}`);
    } catch (error) {
      failures++;
      say(`${id}  NOT saved: ${error instanceof Error ? error.message : error}`);
    }
  }
  return failures;
}

async function saveRows(api: BackupApi, root: string, id: string): Promise<[sha256: string, added: boolean]> {
  const path = rowsPath(root, id);
  const there = await hashOf(path);
  if (there === undefined) {
    await mkdir(join(root, FOLDER), { recursive: true });
    const { sha256, body } = await api.download(rowsOf(id));
    await writeWhole(path, body, sha256);
    return [sha256, true];
  }
  if (await api.has(rowsOf(id), there)) return [there, false];
  throw new Error(`${path} differs from the platform's, and is left as it is; choose another folder`);
}

/** Uploads every dataset whose rows the platform lacks; the platform gives new ids. Returns how many could not be restored. */
export async function restoreFiles(api: BackupApi, root: string, say: Say): Promise<number> {
  const entries = await readdir(join(root, FOLDER)).catch(() => []);
  const there = entries.length === 0 ? [] : await api.files();
  let failures = 0;
  for (const id of entries.flatMap((entry) => /^(file_\w+)\.json$/.exec(entry)?.[1] ?? []).sort()) {
    try {
      say(await restoreOne(api, root, id, there));
    } catch (error) {
      failures++;
      say(`${id}  NOT restored: ${error instanceof Error ? error.message : error}`);
    }
  }
  return failures;
}

/** @param there the platform's datasets; an upload is added to them */
async function restoreOne(api: BackupApi, root: string, id: string, there: File[]): Promise<string> {
  const path = recordPath(root, id);
  const { sha256, filename, examples } = datasetRecord.parse(JSON.parse(await readFile(path, 'utf8')));
  if ((await hashOf(rowsPath(root, id))) !== sha256)
    throw new Error(`${rowsPath(root, id)} is not what was saved`);
  for (const other of there) {
    if (other.examples === examples && (await api.has(rowsOf(other.id), sha256)))
      return `${id}  is there as ${other.id}`;
  }
  const made = await api.upload(filename, await openAsBlob(rowsPath(root, id)));
  there.push(made);
  if (await api.has(rowsOf(made.id), sha256)) return `${id}  restored as ${made.id}`;
  throw new Error(`${made.id} was uploaded, but its rows are not those that were sent`);
}
