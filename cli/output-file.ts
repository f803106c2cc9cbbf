import { randomBytes } from 'node:crypto';
import { type FileHandle, link, open, rename, rm } from 'node:fs/promises';
import { Failure, fileFailure } from './failure.ts';

/** A file that appears under its name only when it is whole, so that nothing takes a part of it for all. */
export class OutputFile {
  readonly path: string;
  readonly #part: string;
  readonly #handle: FileHandle;
  readonly #replaces: boolean;

  private constructor(path: string, part: string, handle: FileHandle, replaces: boolean) {
    this.path = path;
    this.#part = part;
    this.#handle = handle;
    this.#replaces = replaces;
  }

  /** @throws {Failure} `file_exists` where there is one already that may not be replaced; `file_unreadable` */
  static async create(path: string, replaces: boolean): Promise<OutputFile> {
    if (!replaces && (await exists(path))) throw fileFailure({ code: 'EEXIST' }, path)!;
    const part = `${path}.${randomBytes(4).toString('hex')}.part`;
    try {
      return new OutputFile(path, part, await open(part, 'wx'), replaces);
    } catch (error) {
      throw fileFailure(error, path) ?? error;
    }
  }

  async write(data: string | Uint8Array): Promise<void> {
    try {
      await this.#handle.writeFile(data);
    } catch (error) {
      throw fileFailure(error, this.path) ?? error;
    }
  }

  /** Gives the file its name. */
  async finish(): Promise<void> {
    await this.#handle.close();
    try {
      if (this.#replaces) return await rename(this.#part, this.path);
      // Unlike a rename, a link replaces nothing that came meanwhile.
      await link(this.#part, this.path);
      await rm(this.#part);
    } catch (error) {
      throw fileFailure(error, this.path) ?? error;
    }
  }

  /** Drops what was written. */
  async abandon(): Promise<void> {
    await this.#handle.close().catch(() => {});
    await rm(this.#part, { force: true });
  }
}

/** Writes a stream into a new file, and says how many bytes there were. */
export async function saveStream(
  chunks: AsyncIterable<Uint8Array>,
  path: string,
  replaces: boolean,
): Promise<number> {
  const file = await OutputFile.create(path, replaces);
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      await file.write(chunk);
      bytes += chunk.byteLength;
    }
    await file.finish();
    return bytes;
  } catch (error) {
    await file.abandon();
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await (await open(path, 'r')).close();
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT' && !(error instanceof Failure);
  }
}
