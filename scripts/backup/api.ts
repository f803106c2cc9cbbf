import type { ReadableStream } from 'node:stream/web';
import type { BundleFile } from '../../shared/adapter-format.ts';
import type { Adapter } from '../../shared/api/adapters.ts';

const PAGE = 100;
/** Milliseconds that an answer may take to begin, and a file to pass. */
const TIMEOUT_MS = 300_000;

/** The public API, as far as a backup needs it. */
export class BackupApi {
  readonly #url: string;
  readonly #key: string;

  constructor(url: string, key: string) {
    this.#url = url.replace(/\/+$/, '');
    this.#key = key;
  }

  /** From `WEFT_URL` and `WEFT_API_KEY`, which default to what `npm start` brings up. */
  static fromEnvironment(): BackupApi {
    const { WEFT_URL, WEFT_API_KEY } = process.env;
    return new BackupApi(WEFT_URL || 'http://127.0.0.1:8787', WEFT_API_KEY || 'weft-dev');
  }

  /** The ready versions of a name, or of all names: by name, and within it as they were made. */
  async readyAdapters(name?: string): Promise<Adapter[]> {
    const found: Adapter[] = [];
    const query = new URLSearchParams({
      status: 'ready',
      limit: String(PAGE),
      ...(name !== undefined && { name }),
    });
    for (let more = true; more; ) {
      const page = (await (await this.#call(`/v1/adapters?${query}`)).json()) as {
        data: Adapter[];
        has_more: boolean;
        last_id: string | null;
      };
      found.push(...page.data);
      more = page.has_more;
      query.set('after', page.last_id ?? '');
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.version - b.version));
  }

  /** An adapter's object, whole. */
  async adapter(id: string): Promise<Adapter> {
    return (await (await this.#call(`/v1/adapters/${id}`)).json()) as Adapter;
  }

  /** Whether the adapter's file is the one of this SHA-256. */
  async has(id: string, file: BundleFile, sha256: string): Promise<boolean> {
    const response = await this.#call(
      `/v1/adapters/${id}/files/${file}`,
      { headers: { 'if-none-match': `"${sha256}"` } },
      304,
    );
    await response.body?.cancel();
    return response.status === 304;
  }

  /** The bytes of an adapter's file, and the SHA-256 that the platform says they have. */
  async download(
    id: string,
    file: BundleFile,
  ): Promise<{ sha256: string; body: ReadableStream<Uint8Array> }> {
    const response = await this.#call(`/v1/adapters/${id}/files/${file}`);
    const sha256 = /^"([0-9a-f]{64})"$/.exec(response.headers.get('etag') ?? '')?.[1];
    if (sha256 === undefined) throw new Error(`${id}: ${file} came without its SHA-256`);
    return { sha256, body: response.body as unknown as ReadableStream<Uint8Array> };
  }

  /** Imports an adapter's files as a name's next version. */
  async import(name: string, files: Readonly<Record<BundleFile, Blob>>): Promise<Adapter> {
    const form = new FormData();
    form.set('name', name);
    for (const [file, content] of Object.entries(files)) form.set(file, content, file);
    return (await (
      await this.#call('/v1/adapters/import', { method: 'POST', body: form })
    ).json()) as Adapter;
  }

  /** @throws with the platform's own words where it refuses */
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
