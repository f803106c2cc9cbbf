import { mkdir, mkdtemp, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256Hex } from '../../shared/adapter-format.ts';
import { AppError } from '../../shared/errors.ts';
import { explain, type Log } from '../log.ts';
import { Tier, type TierCounts } from './tier.ts';

/** A bundle that a reader found in a folder. */
export interface ReadBundle<T> {
  /** Id of a bundle of these files. */
  readonly id: string;
  /** Bytes of the files. */
  readonly bytes: number;
  readonly contents: T;
}

export interface AdapterSource {
  /** Puts a bundle's files into an existing folder; where it fails, nothing is still being written. */
  downloadAdapter(bundle: string, folder: string): Promise<void>;
}

export interface AdapterStoreOptions<T> {
  folder: string;
  /** Reads a folder that may hold a bundle; undefined if it does not. */
  read(folder: string): Promise<ReadBundle<T> | undefined>;
  /** Most bytes of all files kept on disk. */
  maxBytes: number;
  source: AdapterSource;
  log: Log;
}

const PARTIAL = 'partial-';
/** Milliseconds after which a killed daemon's download is removed: longer than any download may take. */
const PARTIAL_LIFETIME_MS = 3_600_000;
/** The requests of a fetch take as long as so many more bytes of it. */
const FETCH_OVERHEAD_BYTES = 1024 * 1024;
/** Milliseconds between records of a bundle's use, which only the next process reads. */
const MARK_EVERY_MS = 60_000;
/** Most bundles fetched from the edge at once, so that a cold start opens a bounded number of sockets. */
const MAX_FETCHES = 32;

/**
 * Adapters' files by content hash: from disk, or from the edge and then kept on disk. A folder's name is the hash of its content, so every
 * read checks itself; a file that does not fit is dropped, named in the log and fetched again.
 */
export class AdapterStore<T> {
  readonly #options: AdapterStoreOptions<T>;
  /** The bundles on disk, in bytes. */
  readonly #kept: Tier;
  readonly #loading = new Map<string, Promise<T>>();
  readonly #dropped = new Set<string>();
  /** Folders being removed; a reader must wait until its folder is gone. */
  readonly #removing = new Map<string, Promise<void>>();
  /** Time of the last record of each bundle's use. */
  readonly #marked = new Map<string, number>();
  readonly #waiting: (() => void)[] = [];
  #fetching = 0;

  private constructor(options: AdapterStoreOptions<T>) {
    this.#options = options;
    this.#kept = new Tier({ capacity: options.maxBytes, overhead: FETCH_OVERHEAD_BYTES });
  }

  /** Opens a cache folder: finds its bundles and removes what an earlier process left incomplete. */
  static async open<T>(options: AdapterStoreOptions<T>): Promise<AdapterStore<T>> {
    const store = new AdapterStore(options);
    await mkdir(options.folder, { recursive: true });
    await store.#scan();
    return store;
  }

  /** Number of bytes on disk. */
  get bytes(): number {
    return this.#kept.used;
  }

  /** Number of bundles on disk. */
  get size(): number {
    return this.#kept.count;
  }

  /** The bundle that this process or an earlier one read last. */
  get lastUsed(): string | undefined {
    return this.#kept.keys.at(-1);
  }

  get counts(): TierCounts {
    return this.#kept.counts;
  }

  /** True if a bundle is on disk. */
  has(bundle: string): boolean {
    return this.#kept.has(bundle);
  }

  /**
   * Reads a bundle's files by the reader. Callers who ask for the same bundle at the same time share one load.
   * @throws {AppError} `adapter_not_found` if the edge has no such bundle, `upstream_failed` if it cannot be reached or sent something
   * else, `no_capacity` if the disk is full.
   */
  read(bundle: string): Promise<T> {
    const running = this.#loading.get(bundle);
    if (running) return running;
    const load = this.#load(bundle).finally(() => this.#finish(bundle));
    this.#loading.set(bundle, load);
    return load;
  }

  /** Removes a bundle, even while it is being loaded. */
  async drop(bundle: string): Promise<void> {
    if (this.#loading.has(bundle)) this.#dropped.add(bundle);
    await this.#remove(bundle);
  }

  async #load(bundle: string): Promise<T> {
    await this.#removing.get(bundle)?.catch(() => {});
    const onDisk = await this.#readKept(bundle);
    if (onDisk) return onDisk.contents;
    await this.#enter();
    try {
      return await this.#fetchMakingRoom(bundle);
    } finally {
      this.#leave();
    }
  }

  #finish(bundle: string): void {
    this.#loading.delete(bundle);
    if (this.#dropped.delete(bundle)) void this.#tryRemove(bundle);
  }

  async #readKept(bundle: string): Promise<ReadBundle<T> | undefined> {
    const folder = join(this.#options.folder, bundle);
    const known = this.#kept.use(bundle);
    const read = await this.#options.read(folder);
    if (!read) return undefined;
    if (read.id === bundle) {
      this.#mark(bundle, Date.now());
      // Another node of this home may have put it there.
      if (!known) await this.#keep(bundle, read.bytes);
      return read;
    }
    this.#options.log.warn('a cached adapter is corrupt: dropped, and fetched again', { bundle });
    await this.#remove(bundle);
    return undefined;
  }

  #mark(bundle: string, now: number): void {
    if (now - (this.#marked.get(bundle) ?? 0) < MARK_EVERY_MS) return;
    this.#marked.set(bundle, now);
    utimes(join(this.#options.folder, bundle), now / 1000, now / 1000).catch(() => {});
  }

  /** Fetches a bundle; a disk that is full because of the cache makes the cache give way. */
  async #fetchMakingRoom(bundle: string): Promise<T> {
    try {
      return await this.#fetch(bundle);
    } catch (error) {
      if (!(error instanceof AppError && error.code === 'no_capacity') || this.#kept.count === 0) throw error;
      this.#options.log.warn('the disk is full: the adapter cache is emptied', { bytes: this.bytes });
      for (const kept of this.#kept.keys) await this.#tryRemove(kept);
      return this.#fetch(bundle);
    }
  }

  async #fetch(bundle: string): Promise<T> {
    const { folder, source, read } = this.#options;
    const partial = await mkdtemp(join(folder, PARTIAL));
    try {
      await source.downloadAdapter(bundle, partial);
      const fetched = await read(partial);
      if (fetched?.id !== bundle) {
        const sent = fetched?.id ?? 'no bundle';
        throw new AppError(
          'upstream_failed',
          `the edge sent other bytes for adapter bundle ${bundle}: ${sent}`,
        );
      }
      await this.#publish(partial, bundle, fetched.bytes);
      return fetched.contents;
    } finally {
      await rm(partial, { recursive: true, force: true });
    }
  }

  /** Publishes a bundle. Another node of this home may have put it there first; then that copy stays. */
  async #publish(partial: string, bundle: string, bytes: number): Promise<void> {
    try {
      await rename(partial, join(this.#options.folder, bundle));
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== 'EEXIST' && code !== 'ENOTEMPTY' && code !== 'EPERM') throw error;
    }
    await this.#keep(bundle, bytes);
  }

  /** Notes that a bundle is on disk, and removes others to make room; a bundle larger than the whole cache is removed itself. */
  async #keep(bundle: string, bytes: number): Promise<void> {
    this.#kept.delete(bundle);
    for (const each of this.#kept.add(bundle, bytes) ?? [bundle]) await this.#tryRemove(each);
  }

  #remove(bundle: string): Promise<void> {
    this.#kept.delete(bundle);
    this.#marked.delete(bundle);
    const removal = rm(join(this.#options.folder, bundle), { recursive: true, force: true }).finally(() => {
      if (this.#removing.get(bundle) === removal) this.#removing.delete(bundle);
    });
    this.#removing.set(bundle, removal);
    return removal;
  }

  async #tryRemove(bundle: string): Promise<void> {
    await this.#remove(bundle).catch((error) => {
      this.#options.log.warn('a cached adapter cannot be removed', { bundle, reason: explain(error) });
    });
  }

  async #scan(): Promise<void> {
    const found: { bundle: string; bytes: number; used: number }[] = [];
    for (const name of await readdir(this.#options.folder)) {
      const path = join(this.#options.folder, name);
      const used = (await stat(path)).mtimeMs;
      if (sha256Hex.safeParse(name).success)
        found.push({ bundle: name, bytes: await folderBytes(path), used });
      else if (name.startsWith(PARTIAL) && Date.now() - used > PARTIAL_LIFETIME_MS) {
        await rm(path, { recursive: true, force: true });
      }
    }
    for (const { bundle, bytes } of found.sort((a, b) => a.used - b.used)) await this.#keep(bundle, bytes);
  }

  async #enter(): Promise<void> {
    if (this.#fetching < MAX_FETCHES) this.#fetching++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#fetching--;
  }
}

async function folderBytes(folder: string): Promise<number> {
  const sizes = await Promise.all(
    (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
