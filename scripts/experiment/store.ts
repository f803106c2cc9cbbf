import { createHash } from 'node:crypto';
import { globSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Result, result } from './result.ts';

/** Finished runs in one folder, a JSON file each. */
export class ResultStore {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(folder: string): Promise<ResultStore> {
    await mkdir(folder, { recursive: true });
    return new ResultStore(folder);
  }

  /** The result of a run; undefined if it has not finished. @throws naming the file that is no result */
  async read(key: string): Promise<Result | undefined> {
    const path = this.#path(key);
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (text === undefined) return undefined;
    const parsed = result.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    throw new Error(`${path} is no result of an experiment: remove it, and its run is trained again`);
  }

  /** Stores a result completely, or not at all if the process is killed meanwhile. */
  async write(result: Result): Promise<void> {
    const path = this.#path(result.key);
    const partial = `${path}.partial-${process.pid}`;
    await writeFile(partial, `${JSON.stringify(result)}\n`);
    await rename(partial, path);
  }

  #path(key: string): string {
    return join(this.#folder, `${key}.json`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Names the version of the engine: a hash of the sources that train and serve. */
export async function codeVersion(root: string): Promise<string> {
  const files = globSync(['gpu-node/**/*.ts', 'shared/**/*.ts'], { cwd: root }).sort();
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${file}\n`).update(await readFile(join(root, file)));
  return hash.digest('hex').slice(0, 12);
}
