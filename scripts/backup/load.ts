import { openAsBlob } from 'node:fs';
import { join } from 'node:path';
import type { BundleFile } from '../../shared/adapter-format.ts';
import { parseAdapterRef } from '../../shared/api/common.ts';
import { adapterFile, type BackupApi } from './api.ts';
import { type BackupRecord, filesOf, folderOf, hashOf, readRecord, versionsIn } from './folder.ts';

type Say = (line: string) => void;

/**
 * Imports every version of a backup under its name, each name's in order. The platform numbers versions itself, so numbers change where an
 * earlier version was deleted; a bare name still means the same adapter. A name under which the platform has anything else is left alone
 * entirely. Versions that are there already are not imported again. Reports each failure and returns how many there were.
 */
export async function restore(api: BackupApi, root: string, say: Say): Promise<number> {
  const byName = Map.groupBy(await versionsIn(root), (id) => parseAdapterRef(id).name);
  let failures = 0;
  for (const [name, ids] of byName) {
    let done = 0;
    try {
      for await (const line of restoreName(api, root, name, ids)) {
        say(line);
        done++;
      }
    } catch (error) {
      failures += ids.length - done;
      const left = ids.slice(done).join(', ');
      say(`${left}  NOT restored: ${error instanceof Error ? error.message : error}`);
    }
  }
  return failures;
}

/** Yields one line for each version that is on the platform afterwards. */
async function* restoreName(
  api: BackupApi,
  root: string,
  name: string,
  ids: string[],
): AsyncGenerator<string> {
  const records: BackupRecord[] = [];
  for (const id of ids) records.push(await checkedRecord(root, id));
  const there = await api.readyAdapters(name);
  for (const [i, { id }] of there.entries()) {
    const record = records[i];
    if (record && (await isSame(api, id, record))) continue;
    throw new Error(
      `the platform has ${id}, which is not what the backup has there; delete it, or use another key`,
    );
  }
  for (const [i, record] of records.entries()) {
    const before = there[i];
    if (before) yield `${record.id}  is there as ${before.id}`;
    else yield `${record.id}  restored as ${await importOne(api, root, name, record)}`;
  }
}

async function checkedRecord(root: string, id: string): Promise<BackupRecord> {
  const record = await readRecord(root, id);
  if (!record) throw new Error(`the backup of ${id} was broken off; run it again first`);
  for (const [file, sha256] of filesOf(record)) {
    const hash = await hashOf(join(folderOf(root, id), file));
    if (hash === sha256) continue;
    throw new Error(
      `${join(folderOf(root, id), file)} is ${hash === undefined ? 'gone' : 'not what was saved'}`,
    );
  }
  return record;
}

async function isSame(api: BackupApi, id: string, record: BackupRecord): Promise<boolean> {
  const files = filesOf(record);
  const there = (await api.adapter(id)).files ?? [];
  if (there.length !== files.length || !files.every(([file]) => there.some(({ name }) => name === file)))
    return false;
  for (const [file, sha256] of files) if (!(await api.has(adapterFile(id, file), sha256))) return false;
  return true;
}

async function importOne(api: BackupApi, root: string, name: string, record: BackupRecord): Promise<string> {
  const files = new Map<BundleFile, Blob>();
  for (const [file] of filesOf(record))
    files.set(file, await openAsBlob(join(folderOf(root, record.id), file)));
  const { id } = await api.import(name, files);
  if (await isSame(api, id, record)) return id;
  throw new Error(`${id} was imported, but its files are not those that were sent`);
}
