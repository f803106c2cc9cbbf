import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BundleFile } from '../../shared/adapter-format.ts';
import { adapterFile, type BackupApi } from './api.ts';
import { folderOf, hashOf, writeRecord, writeWhole } from './folder.ts';

type Say = (line: string) => void;

/**
 * Saves every ready adapter under `root`. Files that are there already are compared by hash and never overwritten. Reports each failure and
 * returns how many there were.
 */
export async function backUp(api: BackupApi, root: string, say: Say): Promise<number> {
  let failures = 0;
  for (const { id } of await api.readyAdapters()) {
    try {
      const added = await saveOne(api, root, id);
      say(`${id}  ${added ? 'saved' : 'is there'}`);
    } catch (error) {
      failures++;
      say(`${id}  NOT saved: ${error instanceof Error ? error.message : error}`);
    }
  }
  return failures;
}

async function saveOne(api: BackupApi, root: string, id: string): Promise<boolean> {
  const sha256: Partial<Record<BundleFile, string>> = {};
  let added = false;
  const { resident: _now, ...adapter } = await api.adapter(id);
  for (const { name: file } of adapter.files ?? []) {
    const there = await hashOf(join(folderOf(root, id), file));
    if (there === undefined) {
      const download = await api.download(adapterFile(id, file));
      await mkdir(folderOf(root, id), { recursive: true });
      await writeWhole(join(folderOf(root, id), file), download.body, download.sha256);
      sha256[file] = download.sha256;
      added = true;
    } else if (await api.has(adapterFile(id, file), there)) sha256[file] = there;
    else
      throw new Error(
        `${file} differs from the one in the folder, which is left as it is; choose another folder`,
      );
  }
  await writeRecord(root, { format: 1, id, sha256, adapter });
  return added;
}
