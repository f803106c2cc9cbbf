import type { ReadableStream } from 'node:stream/web';
import type { BundleFile } from '../../shared/adapter-format.ts';
import type { Adapter } from '../../shared/api/adapters.ts';
import type { File } from '../../shared/api/datasets.ts';

const PAGE = 100;
/** Milliseconds for an answer to begin, and for a file to pass. */
const TIMEOUT_MS = 300_000;

/** Paths of an adapter's file and of a dataset's rows. */
export const adapterFile = (id: string, file: BundleFile) => `/v1/adapters/${id}/files/${file}`;
export const rowsOf = (id: string) => `/v1/files/${id}/content`;

/** The calls of the public API that a backup needs. */
export class BackupApi {
  readonly #url: string;
  readonly #key: string;

  constructor(url: string, key: string) {
    this.#url = url.replace(/\/+$/, '');
    this.#key = key;
  }

  /** Reads `WEFT_URL` and `WEFT_API_KEY`, which default to the platform of `npm start`. */
  static fromEnvironment(): BackupApi {
    const { WEFT_URL, WEFT_API_KEY } = process.env;
    return new BackupApi(WEFT_URL || 'http://127.0.0.1:8787', WEFT_API_KEY || 'weft-dev');
  }

  /** The ready versions of a name, or of all names, ordered by name and then by age. */
  async readyAdapters(name?: string): Promise<Adapter[]> {
    const found = await this.#all<Adapter>('/v1/adapters', {
      status: 'ready',
      ...(name !== undefined && { name }),
    });
    return found.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.version - b.version));
  }

  /** Every dataset, the oldest first. */
  files(): Promise<File[]> {
    return this.#all<File>('/v1/files', { order: 'asc', purpose: 'fine-tune' });
  }

  /** An adapter with all its fields, which lists may leave out. */
  async adapter(id: string): Promise<Adapter> {
    return (await (await this.#call(`/v1/adapters/${id}`)).json()) as Adapter;
  }

  /** True if the content at a path has this SHA-256. */
  async has(path: string, sha256: string): Promise<boolean> {
    const response = await this.#call(path, { headers: { 'if-none-match': `"${sha256}"` } }, 304);
    await response.body?.cancel();
    return response.status === 304;
  }

  /** The bytes at a path, and their SHA-256 as the platform states it. */
  async download(path: string): Promise<{ sha256: string; body: ReadableStream<Uint8Array> }> {
    const response = await this.#call(path);
    const sha256 = /^"([0-9a-f]{64})"$/.exec(response.headers.get('etag') ?? '')?.[1];
    if (sha256 === undefined) throw new Error(`${path} came without its SHA-256`);
    return { sha256, body: response.body as unknown as ReadableStream<Uint8Array> };
  }

  /** Uploads the rows of a dataset. */
  async upload(filename: string, rows: Blob): Promise<File> {
    const form = new FormData();
    form.set('purpose', 'fine-tune');
    form.set('file', rows, filename);
    return (await (await this.#call('/v1/files', { method: 'POST', body: form })).json()) as File;
  }

  /** Imports an adapter's files as a name's next version. */
  async import(name: string, files: ReadonlyMap<BundleFile, Blob>): Promise<Adapter> {
    const form = new FormData();
    form.set('name', name);
    for (const [file, content] of files) form.set(file, content, file);
    return (await (
      await this.#call('/v1/adapters/import', { method: 'POST', body: form })
    ).json()) as Adapter;
  }

  /** All items of a list. */
  async #all<Item>(path: string, filter: Record<string, string>): Promise<Item[]> {
    const found: Item[] = [];
    const query = new URLSearchParams({ limit: String(PAGE), ...filter });
    for (let more = true; more; ) {
      const page = (await (await this.#call(`${path}?${query}`)).json()) as {
        data: Item[];
        has_more: boolean;
        last_id: string | null;
      };
      found.push(...page.data);
      more = page.has_more;
      query.set('after', page.last_id ?? '');
    }
    return found;
  }

  /** @throws with the platform's own message where it refuses */
  async #call(path: string, init: RequestInit = {}, also?: number): Promise<Response> {
    const headers = { ...(init.headers as Record<string, string>), authorization: `Bearer ${this.#key}` };
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(this.#url + path, { ...init, headers, signal }).catch((cause) => {
      throw new Error(`${this.#url} does not answer; WEFT_URL says where the platform is`, { cause });
    });
    if (response.ok || response.status === also) return response;
    const body = (await response.json().catch(() => undefined)) as { detail?: string } | undefined;
    throw new Error(`${path} answered ${response.status}: ${body?.detail ?? response.statusText}`);
  }
}
