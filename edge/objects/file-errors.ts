import { MAX_LINE_ERRORS } from '../../shared/api/datasets.ts';
import { AppError } from '../../shared/errors.ts';
import type { Db } from '../db/client.ts';
import { UNCLAIMED_SECONDS } from '../db/objects.ts';
import type { Env } from '../env.ts';
import { fileErrorsKey } from './object-keys.ts';
import { ObjectWriter } from './storage.ts';

const NONE: Partial<AppError> = {};

/** Stores the list of an upload's bad rows, if there are any. The file claims it; that of a refused file stays until the sweep takes it. */
export class FileErrors {
  readonly #open: () => ObjectWriter;
  readonly #key: string;
  readonly #fileId: string;
  #writer: ObjectWriter | undefined;

  constructor(env: Pick<Env, 'BUCKET'>, db: Db, tenant: string, fileId: string) {
    this.#fileId = fileId;
    this.#key = fileErrorsKey(tenant, fileId);
    this.#open = () => new ObjectWriter(env, db, this.#key);
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#writer ??= this.#open();
    await this.#writer.write(bytes);
  }

  /** Completes the list. Returns its key, or null where no row is bad. */
  async finish(): Promise<string | null> {
    await this.#writer?.finish();
    return this.#writer ? this.#key : null;
  }

  /** The error of an upload, which tells where all bad rows are listed if it does not list them itself; otherwise the list is dropped. */
  async listedBy(error: unknown): Promise<unknown> {
    const { code, message, errors, totalErrors, cause } = error instanceof AppError ? error : NONE;
    if (!code || !errors || !totalErrors || totalErrors <= MAX_LINE_ERRORS) {
      await this.#writer?.abort();
      return error;
    }
    await this.finish();
    const errorsUrl = `/v1/files/${this.#fileId}/errors`;
    const where = `GET ${errorsUrl} lists all bad lines for ${UNCLAIMED_SECONDS / 60} minutes.`;
    return new AppError(code, `${message} ${where}`, {
      param: 'file',
      errors,
      totalErrors,
      cause,
      errorsUrl,
    });
  }
}
