import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeId } from '../shared/api/common.ts';

const MAX_NODES_PER_HOME = 64;

/** A node's own folder under WEFT_HOME, held until `release`. */
export interface Identity {
  id: string;
  folder: string;
  release(): Promise<void>;
}

/**
 * Takes the first folder `home/nodes/N` that no living process holds, so that a node keeps its id across restarts and
 * two nodes of one home never share one. A stale hold (its process is gone) is taken over; where another process has
 * got that number meanwhile, the node merely takes the next folder.
 */
export async function claimIdentity(home: string): Promise<Identity> {
  for (let n = 1; n <= MAX_NODES_PER_HOME; n++) {
    const folder = join(home, 'nodes', String(n));
    await mkdir(folder, { recursive: true });
    if (!(await hold(join(folder, 'pid')))) continue;
    return {
      id: await persistentId(join(folder, 'id')),
      folder,
      release: () => rm(join(folder, 'pid'), { force: true }),
    };
  }
  throw new Error(`all ${MAX_NODES_PER_HOME} node folders under ${join(home, 'nodes')} are in use`);
}

async function hold(pidFile: string): Promise<boolean> {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      await writeFile(pidFile, String(process.pid), { flag: 'wx' });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = Number(await readFile(pidFile, 'utf8').catch(() => ''));
    if (isAlive(holder)) return false;
    await rm(pidFile, { force: true });
  }
  return false;
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function persistentId(file: string): Promise<string> {
  const known = nodeId.safeParse(await readFile(file, 'utf8').catch(() => ''));
  if (known.success) return known.data;
  const id = `node_${randomUUID().replaceAll('-', '')}`;
  await writeFile(file, id);
  return id;
}
