import { randomUUID } from 'node:crypto';
import { link, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeId } from '../../shared/api/common.ts';
import { isAlive } from '../process-alive.ts';

const MAX_NODES_PER_HOME = 64;

/** A node's own folder under WEFT_HOME, held until `release`. */
export interface Identity {
  id: string;
  folder: string;
  release(): Promise<void>;
}

/**
 * Takes the first folder `home/nodes/N` that no living process holds, so that a node keeps its id across restarts and two nodes of one home
 * never share one. A hold whose process is gone is taken over. If another process has got its number meanwhile, the node merely takes the
 * next folder.
 */
export async function claimIdentity(home: string): Promise<Identity> {
  for (let n = 1; n <= MAX_NODES_PER_HOME; n++) {
    const folder = join(home, 'nodes', String(n));
    await mkdir(folder, { recursive: true });
    const held = await hold(folder);
    if (!held) continue;
    return { id: await persistentId(join(folder, 'id')), folder, release: () => truncate(held) };
  }
  throw new Error(`all ${MAX_NODES_PER_HOME} node folders under ${join(home, 'nodes')} are in use`);
}

/**
 * Holds a folder by a file `hold.N` with this process's number; undefined if a living process holds it. The highest N counts. Each taker
 * adds the next one, complete and only if it does not exist yet, so that of several takers one wins. An ending hold is emptied, and only
 * its successor removes it, so that N never falls and a slow taker cannot win with an old one.
 */
async function hold(folder: string): Promise<string | undefined> {
  const last = await newestHold(folder);
  if (isAlive(await holderOf(folder, last))) return undefined;
  const own = holdFile(folder, last + 1);
  if (!(await createWhole(own, String(process.pid)))) return undefined;
  if ((await newestHold(folder)) > last + 1) {
    await rm(own, { force: true });
    return undefined;
  }
  for (const each of await holds(folder)) if (each <= last) await rm(holdFile(folder, each), { force: true });
  return own;
}

/** The number of the process that holds a node's folder, or 0 if there is none. */
export async function holderOf(folder: string, newest?: number): Promise<number> {
  const file = holdFile(folder, newest ?? (await newestHold(folder)));
  return Number(await readFile(file, 'utf8').catch(() => ''));
}

function holdFile(folder: string, n: number): string {
  return join(folder, `hold.${n}`);
}

async function newestHold(folder: string): Promise<number> {
  return Math.max(0, ...(await holds(folder)));
}

async function holds(folder: string): Promise<number[]> {
  const names = await readdir(folder);
  return names.flatMap((name) => /^hold\.(\d{1,15})$/.exec(name)?.[1] ?? []).map(Number);
}

/** Creates a file that has its content as soon as it can be seen; false if it exists already. */
async function createWhole(file: string, content: string): Promise<boolean> {
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, content);
  try {
    await link(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    await rm(draft, { force: true });
  }
}

async function persistentId(file: string): Promise<string> {
  const known = nodeId.safeParse(await readFile(file, 'utf8').catch(() => ''));
  if (known.success) return known.data;
  const id = `node_${randomUUID().replaceAll('-', '')}`;
  await writeFile(file, id);
  return id;
}
