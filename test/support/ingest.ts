import { expect } from 'vitest';
import type { InvalidRows } from '../../shared/api/datasets.ts';
import { ingestDataset, settle } from '../../shared/dataset/dataset.ts';
import type { Columns } from '../../shared/dataset/find-in-row.ts';
import type { DatasetSummary } from '../../shared/dataset/row-check.ts';
import type { AppError } from '../../shared/errors.ts';
import { concat, cut } from './multipart-body.ts';

export const encode = (text: string) => new TextEncoder().encode(text);

export interface Ingested extends DatasetSummary {
  rows: { text: string; label: string }[];
}

/** Reads a dataset file that comes in chunks of `nextLength()` bytes, and gives what was stored of it. */
export async function ingest(
  file: string | Uint8Array,
  nextLength: () => number = () => 65536,
  invalidRows: InvalidRows = 'refuse',
  // An upload without the fields gives them so.
  columns: Columns = { text: undefined, label: undefined },
): Promise<Ingested> {
  const stored: Uint8Array[] = [];
  const sink = { write: async (bytes: Uint8Array) => void stored.push(bytes) };
  const bytes = typeof file === 'string' ? encode(file) : file;
  const summary = settle(await ingestDataset(cut(bytes, nextLength), sink, { columns }), invalidRows);
  const lines = new TextDecoder('utf-8', { fatal: true }).decode(concat(stored)).split('\n');
  expect(lines.pop()).toBe('');
  return { ...summary, rows: lines.map((line) => JSON.parse(line)) };
}

/** The error of a file that is refused. */
export async function refusal(file: string | Uint8Array, columns?: Columns): Promise<AppError> {
  const error = await ingest(file, undefined, 'refuse', columns).catch((thrown) => thrown);
  expect(error).toMatchObject({ code: 'invalid_dataset', param: 'file' });
  return error;
}
