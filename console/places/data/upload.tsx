import { useId, useState } from 'preact/hooks';
import { addressOf } from '../../addresses.ts';
import { ApiError } from '../../api/client.ts';
import { Problem } from '../../components/problem.tsx';
import { go } from '../../store/session.ts';
import { uploadDataset } from '../../store/upload-dataset.ts';

/** Where a file is dropped or chosen; what is wrong with it is told by line. */
export function Upload() {
  const id = useId();
  const [busyWith, setBusyWith] = useState<string>();
  const [refused, setRefused] = useState<{ file: File; error: ApiError }>();
  const [isOver, setOver] = useState(false);
  const take = async (file: File | undefined, skipInvalid = false) => {
    if (!file) return;
    setBusyWith(file.name);
    setRefused(undefined);
    try {
      const { id } = await uploadDataset(file, file.name, { skipInvalid });
      go(addressOf('data', id));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setRefused({ file, error });
    } finally {
      setBusyWith(undefined);
    }
  };
  return (
    <>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: dropping is beside the button, which does the same by keyboard */}
      <div
        class={`drop ${isOver ? 'over' : ''}`}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          setOver(false);
          void take(event.dataTransfer?.files[0]);
        }}
      >
        <label for={id} class="button main">
          Choose a file
        </label>
        <input
          id={id}
          class="unseen"
          type="file"
          accept=".csv,.tsv,.txt,.json,.jsonl,.ndjson"
          onChange={(event) => {
            void take(event.currentTarget.files?.[0]);
            event.currentTarget.value = '';
          }}
        />
        <span class="muted">{busyWith === undefined ? 'or drop it here' : ''}</span>
        {busyWith !== undefined && <span role="status">Uploading and checking {busyWith}…</span>}
      </div>
      {refused && (
        <>
          <p>
            <strong>{refused.file.name}</strong> was not taken.
          </p>
          <Problem error={refused.error} />
          {refused.error.lines.length > 0 && (
            <div class="actions">
              <button type="button" onClick={() => take(refused.file, true)}>
                Upload without these rows
              </button>
            </div>
          )}
        </>
      )}
    </>
  );
}
