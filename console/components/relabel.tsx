import { useState } from 'preact/hooks';
import { addressOf } from '../addresses.ts';
import { ApiError } from '../api/client.ts';
import { asJsonl, type Row } from '../api/rows.ts';
import { count } from '../format.ts';
import { go } from '../store/session.ts';
import { uploadDataset } from '../store/upload-dataset.ts';
import { Problem } from './problem.tsx';

/** New labels by the rows' places in their file. */
export type Edits = ReadonlyMap<number, string>;

/** The edits with one more; a label that is the row's own again is none. */
export function withEdit(edits: Edits, row: number, label: string, own: string): Edits {
  const next = new Map(edits);
  if (label === '' || label === own) next.delete(row);
  else next.set(row, label);
  return next;
}

interface SaveEditsProps {
  rows: readonly Row[];
  filename: string;
  edits: Edits;
  onDiscard: () => void;
}

/** Saves a file's rows with their new labels as a new file: a file itself never changes. */
export function SaveEdits({ rows, filename, edits, onDiscard }: SaveEditsProps) {
  const [error, setError] = useState<ApiError>();
  const [isBusy, setBusy] = useState(false);
  if (edits.size === 0) return null;
  const save = async () => {
    setBusy(true);
    try {
      const changed = rows.map((row, i) => ({ ...row, label: edits.get(i) ?? row.label }));
      const { id } = await uploadDataset(asJsonl(changed), nameOfEdited(filename));
      go(addressOf('data', id));
    } catch (cause) {
      if (!(cause instanceof ApiError)) throw cause;
      setError(cause);
    } finally {
      setBusy(false);
    }
  };
  return (
    <div class="save-edits" role="status">
      <span>
        {count(edits.size)} {edits.size === 1 ? 'label' : 'labels'} changed
      </span>
      <button type="button" class="main" disabled={isBusy} onClick={save}>
        Save as a new file
      </button>
      <button type="button" onClick={onDiscard}>
        Discard
      </button>
      {error && <Problem error={error} />}
    </div>
  );
}

function nameOfEdited(filename: string): string {
  return `${filename.replace(/\.[^.]*$/, '')}-relabelled.jsonl`;
}
