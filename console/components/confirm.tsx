import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { ApiError } from '../api/client.ts';
import { Problem } from './problem.tsx';

/** A button for what cannot be undone: a dialog says what will happen, and what was refused. */
export function Confirm({
  label,
  title,
  children,
  act,
}: {
  label: string;
  title: string;
  children: ComponentChildren;
  act: () => Promise<unknown>;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [error, setError] = useState<ApiError>();
  const [isBusy, setBusy] = useState(false);
  const confirm = async () => {
    setBusy(true);
    try {
      await act();
      dialog.current?.close();
    } catch (cause) {
      if (!(cause instanceof ApiError)) throw cause;
      setError(cause);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <button type="button" class="danger" onClick={() => dialog.current?.showModal()}>
        {label}
      </button>
      <dialog ref={dialog} aria-label={title} onClose={() => setError(undefined)}>
        <h2>{title}</h2>
        {children}
        {error && <Problem error={error} />}
        <div class="actions">
          <button type="button" onClick={() => dialog.current?.close()}>
            Keep
          </button>
          <button type="button" class="danger" disabled={isBusy} onClick={confirm}>
            {label}
          </button>
        </div>
      </dialog>
    </>
  );
}
