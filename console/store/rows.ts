import { effect, type Signal, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ApiError } from '../api/client.ts';
import { type Row, readRows } from '../api/rows.ts';
import { call } from './known.ts';
import { key } from './session.ts';

/** A file's rows as far as they have come. */
export interface Rows {
  readonly rows: readonly Row[];
  readonly isWhole: boolean;
  readonly error?: ApiError;
}

/** Files whose rows are kept; a file may take 100 MB. */
const MAX_FILES = 2;
const files = new Map<string, { state: Signal<Rows>; isAsked: boolean }>();

effect(() => {
  if (key.value === null) files.clear();
});

function entryOf(fileId: string) {
  const entry = files.get(fileId) ?? { state: signal<Rows>({ rows: [], isWhole: false }), isAsked: false };
  files.delete(fileId);
  files.set(fileId, entry);
  for (const old of [...files.keys()].slice(0, -MAX_FILES)) files.delete(old);
  return entry;
}

/** The rows of a file, which are loaded once: a file never changes. After an error they are asked for again. */
export function rowsOf(fileId: string): Signal<Rows> {
  const entry = entryOf(fileId);
  if (entry.isAsked && !entry.state.peek().error) return entry.state;
  entry.isAsked = true;
  entry.state.value = { rows: [], isWhole: false };
  void load(fileId, entry.state);
  return entry.state;
}

async function load(fileId: string, state: Signal<Rows>): Promise<void> {
  try {
    const response = await call(`/v1/files/${encodeURIComponent(fileId)}/content`);
    const rows = await readRows(response, (some) => {
      state.value = { rows: some, isWhole: false };
    });
    state.value = { rows, isWhole: true };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    state.value = { ...state.peek(), error };
  }
}

const NOTHING: Rows = { rows: [], isWhole: false };

/** A file's rows, from when the component appears; undefined asks for none. */
export function useRows(fileId: string | undefined): Rows {
  useEffect(() => {
    if (fileId !== undefined) rowsOf(fileId);
  }, [fileId]);
  return fileId === undefined ? NOTHING : entryOf(fileId).state.value;
}
