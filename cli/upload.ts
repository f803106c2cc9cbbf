import { openAsBlob } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { file as fileSchema, type File as UploadedFile } from '../shared/api/datasets.ts';
import type { Client } from './client.ts';
import type { DatasetOptions } from './dataset-options.ts';
import { Failure, fileFailure } from './failure.ts';

/** A file on disk as a part of a form; it is read while it is sent. @throws {Failure} where it cannot be read */
export async function blobOf(path: string): Promise<Blob> {
  try {
    if (!(await stat(path)).isFile()) {
      throw new Failure('failed', 'file_unreadable', `${path}: it is no regular file`);
    }
    return await openAsBlob(path);
  } catch (error) {
    throw fileFailure(error, path) ?? error;
  }
}

/** Uploads a dataset. */
export async function uploadDataset(
  client: Client,
  path: string,
  { skipInvalid, textColumn, labelColumn }: DatasetOptions,
): Promise<UploadedFile> {
  const form = new FormData();
  form.set('purpose', 'fine-tune');
  if (skipInvalid) form.set('invalid_rows', 'skip');
  if (textColumn !== undefined) form.set('text_column', textColumn);
  if (labelColumn !== undefined) form.set('label_column', labelColumn);
  form.set('file', await blobOf(path), basename(path));
  try {
    return (await client.call(fileSchema, { method: 'POST', path: '/v1/files', form })).value;
  } catch (error) {
    throw error instanceof Failure ? error.withNext(`weft files check ${path}`) : error;
  }
}
