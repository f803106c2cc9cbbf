import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** Folder of this machine's platform state: `WEFT_HOME`, else `.weft`. */
export function homeFolder(given = process.env.WEFT_HOME): string {
  return resolve(given || '.weft');
}

/** The value of `wrangler --persist-to` that shows it the same D1 and R2. */
export function persistFolder(home: string): string {
  return join(home, 'edge');
}

/** Folder of D1 and R2 themselves; wrangler puts them below the folder it is given. */
export function edgeStateFolder(home: string): string {
  return join(persistFolder(home), 'v3');
}

/** The secret of this home's edge and nodes: `WEFT_NODE_SECRET`, else one made at the first start. */
export async function nodeSecret(home: string): Promise<string> {
  if (process.env.WEFT_NODE_SECRET) return process.env.WEFT_NODE_SECRET;
  const file = join(home, 'node-secret');
  try {
    await writeFile(file, randomBytes(24).toString('hex'), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  return (await readFile(file, 'utf8')).trim();
}

/**
 * Takes the home for this process, because two edges over one database would undo each other's work. A socket holds it, which the system
 * closes with the process, however that ends. Returns a function that releases it.
 * @throws {Error} naming the process that has it; or where the folder cannot be made.
 */
export async function holdHome(home: string): Promise<() => Promise<void>> {
  await mkdir(home, { recursive: true }).catch((cause: NodeJS.ErrnoException) => {
    throw new Error(`the folder ${home} cannot be made (${cause.code}): set WEFT_HOME to another`, { cause });
  });
  const address = socketAddress(await realpath(home));
  const server = createServer((socket) => socket.end(String(process.pid)));
  for (;;) {
    try {
      server.listen(address);
      await once(server, 'listening');
      server.unref();
      return async () => void server.close();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
    const holder = await whoHolds(address);
    if (holder) {
      throw new Error(`${home} is in use by process ${holder}: stop it, or set WEFT_HOME to another folder`);
    }
    await rm(address, { force: true });
  }
}

/** Address of the home's socket. It does not lie in the home, because a socket's path has only about 100 bytes. */
function socketAddress(home: string): string {
  const name = `weft-${createHash('sha256').update(home).digest('hex').slice(0, 16)}`;
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(tmpdir(), `${name}.sock`);
}

/** The process at the other end; undefined if there is none any more. */
async function whoHolds(address: string): Promise<string | undefined> {
  try {
    const socket = connect(address).setEncoding('utf8');
    let pid = '';
    for await (const chunk of socket) pid += chunk;
    return pid;
  } catch (error) {
    if (['ECONNREFUSED', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
