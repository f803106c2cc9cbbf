import { datasets } from '../api/requests.ts';
import type { Dataset } from '../api/types.ts';
import { callJson, refresh } from './known.ts';

/** Uploads labelled rows. @throws {ApiError} with the lines that are wrong */
export async function uploadDataset(
  contents: Blob,
  name: string,
  { skipInvalid = false } = {},
): Promise<Dataset> {
  const body = new FormData();
  body.set('purpose', 'fine-tune');
  if (skipInvalid) body.set('invalid_rows', 'skip');
  body.set('file', contents, name);
  const file = await callJson<Dataset>('/v1/files', { method: 'POST', body });
  void refresh(datasets());
  return file;
}
