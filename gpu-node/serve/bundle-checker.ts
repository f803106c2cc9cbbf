import { AppError } from '../../shared/errors.ts';
import { explain, type Log } from '../log.ts';
import type { BaseModelSource } from '../models/open-base-model.ts';
import { LastingWorker } from '../runtime/worker-thread.ts';
import type { ReadBundle } from './adapter-store.ts';
import type { CheckedAdapter, CheckHandlers, CheckWorkerData } from './check-worker.ts';

const ENTRY = new URL('./check-worker.ts', import.meta.url);

/** Reads, hashes and checks adapters' files in a thread of its own, so that neither requests nor runs wait for it. */
export class BundleChecker {
  readonly #worker: LastingWorker<CheckHandlers>;

  constructor(bases: readonly BaseModelSource[], log: Log) {
    const data: CheckWorkerData = { bases };
    this.#worker = new LastingWorker<CheckHandlers>(ENTRY, data, (error) => {
      log.error('the worker that checks adapters ended', { reason: explain(error) });
    });
  }

  /** @throws {AppError} naming the base model whose files cannot be used */
  async ready(): Promise<void> {
    await this.#worker.call('ready', null);
  }

  /** Reads the bundle in a folder: an adapter, or the error why it cannot be served. Undefined if there is no bundle. */
  async read(folder: string): Promise<ReadBundle<CheckedAdapter | AppError> | undefined> {
    const read = await this.#worker.call('read', folder);
    if (!read) return undefined;
    const { id, bytes, adapter } = read;
    const contents = 'refused' in adapter ? new AppError(adapter.refused, adapter.message) : adapter;
    return { id, bytes, contents };
  }

  async stop(): Promise<void> {
    await this.#worker.stop();
  }
}
