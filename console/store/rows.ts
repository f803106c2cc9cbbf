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
const files = new Map<string, Signal<Rows>>();

effect(() => {
  if (key.value === null) files.clear();
});

/** The rows of a file, loaded when somebody looks; a file never changes. */
export function rowsOf(fileId: string): Signal<Rows> {
  const there = files.get(fileId);
  if (there && !there.peek().error) return there;
  const state = there ?? signal<Rows>({ rows: [], isWhole: false });
  state.value = { rows: [], isWhole: false };
  files.delete(fileId);
  files.set(fileId, state);
  for (const old of [...files.keys()].slice(0, -MAX_FILES)) files.delete(old);
  void load(fileId, state);
  return state;
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
  return (fileId !== undefined && files.get(fileId)?.value) || NOTHING;
}
