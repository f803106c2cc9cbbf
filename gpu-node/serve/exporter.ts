import { Readable } from 'node:stream';
import { packTar } from 'modern-tar/fs';
import { AppError } from '../../shared/errors.ts';
import type { ExportHandlers, ExportWorkerData } from '../export/export-worker.ts';
import { MODEL_FILE } from '../export/transformers-folder.ts';
import type { BaseModelSource } from '../models/open-base-model.ts';
import { whyUnmergeable } from '../parts/index.ts';
import { WorkerThread } from '../runtime/worker-thread.ts';
import type { AdapterStore } from './adapter-store.ts';
import type { CheckedAdapter } from './check-worker.ts';
import { unlessAborted } from './deadline.ts';
import { sourceOf } from './session-group.ts';

const ENTRY = new URL('../export/export-worker.ts', import.meta.url);

/** Most exports at once: each takes a thread, a layer of the base model and the bytes that wait to be sent. */
const MAX_EXPORTS = 2;
/** Least bytes a second that a reader must take; a slower one is cut off after a minute. */
const SLOWEST_BYTES = 64 * 1024;
const PATIENCE_MS = 60_000;
const BUSY_RETRY_SECONDS = 10;
const TAR_BLOCK = 512;
/** Modification time in archives, fixed so that equal adapters give equal archives. */
const MTIME = new Date(0);

export interface ExporterOptions {
  bases: readonly BaseModelSource[];
  store: Pick<AdapterStore<CheckedAdapter | AppError>, 'read'>;
  /** The folder that it keeps adapters in. */
  cache: string;
}

/** A tar archive that is made while it is read. */
export interface Archive {
  readonly bytes: number;
  readonly body: ReadableStream<Uint8Array>;
}

/** Makes transformers folders of adapters merged into their base model, as archives, each in a thread of its own. */
export class Exporter {
  readonly #bases: ReadonlyMap<string, BaseModelSource>;
  readonly #store: ExporterOptions['store'];
  readonly #cache: string;
  readonly #running = new Set<AbortController>();

  constructor({ bases, store, cache }: ExporterOptions) {
    this.#bases = new Map(bases.map((base) => [base.id, base]));
    this.#store = store;
    this.#cache = cache;
  }

  /** Number of archives in progress. */
  get running(): number {
    return this.#running.size;
  }

  /**
   * Begins an archive. Its work ends with its last byte, when the signal is aborted, or when its reader cancels.
   * @throws {AppError} `rate_limited` if enough are in progress, `not_mergeable`, and as `AdapterStore.read` does; the signal's reason
   */
  async export(bundle: string, signal: AbortSignal): Promise<Archive> {
    if (this.#running.size >= MAX_EXPORTS) {
      const message = `this node is exporting ${MAX_EXPORTS} adapters already`;
      throw new AppError('rate_limited', message, { retryAfter: BUSY_RETRY_SECONDS });
    }
    const end = new AbortController();
    this.#running.add(end);
    const done = () => this.#running.delete(end);
    try {
      const archive = await this.#open(bundle, AbortSignal.any([signal, end.signal]), end);
      archive.stream.once('close', done);
      return { bytes: archive.bytes, body: Readable.toWeb(archive.stream) as ReadableStream<Uint8Array> };
    } catch (error) {
      done();
      throw error;
    }
  }

  /** Ends the archives in progress, which would take longer than a drain may. */
  stop(): void {
    for (const end of this.#running) {
      end.abort(new AppError('shutting_down', 'the node is shutting down', { retryAfter: 1 }));
    }
  }

  async #open(bundle: string, signal: AbortSignal, end: AbortController) {
    const adapter = await unlessAborted(this.#store.read(bundle), signal);
    if (adapter instanceof AppError) throw adapter;
    const why = whyUnmergeable(adapter.group.plan);
    if (why) {
      const { method } = adapter.description;
      throw new AppError('not_mergeable', `${method} ${why}: it cannot be merged into the base model`);
    }
    const base = sourceOf(adapter.group, this.#bases, this.#cache);
    const data: ExportWorkerData = { base, adapter };
    const worker = new WorkerThread<ExportHandlers>(ENTRY, data, () => {});
    try {
      const { files, modelBytes } = await unlessAborted(worker.call('open', null), signal);
      const small = [...files].map(([target, content]) => {
        return { type: 'content' as const, target, content: bytesOf(content), mtime: MTIME };
      });
      const content = Readable.from(chunksOf(worker, signal), { objectMode: false });
      const model = { type: 'stream' as const, target: MODEL_FILE, content, size: modelBytes, mtime: MTIME };
      const bytes = tarBytes([...small.map((file) => file.content.byteLength), modelBytes]);
      const stream = packTar([...small, model]);
      const late = () => end.abort(new Error('whoever asked for the archive takes it too slowly'));
      const timer = setTimeout(late, PATIENCE_MS + (1000 * bytes) / SLOWEST_BYTES);
      const destroy = () => stream.destroy(signal.reason);
      signal.addEventListener('abort', destroy, { once: true });
      stream.once('close', () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', destroy);
        void worker.stop();
      });
      return { bytes, stream };
    } catch (error) {
      void worker.stop();
      throw error;
    }
  }
}

async function* chunksOf(worker: WorkerThread<ExportHandlers>, signal: AbortSignal) {
  for (;;) {
    const chunk = await unlessAborted(worker.call('next', null), signal);
    if (!chunk) return;
    yield chunk;
  }
}

function bytesOf(content: string | Uint8Array): Uint8Array {
  return typeof content === 'string' ? new TextEncoder().encode(content) : content;
}

/** Bytes of an archive: a header and whole blocks per file, and two blocks at the end (POSIX ustar). */
function tarBytes(files: readonly number[]): number {
  const blocks = files.reduce((sum, bytes) => sum + 1 + Math.ceil(bytes / TAR_BLOCK), 2);
  return blocks * TAR_BLOCK;
}
