import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

interface FieldProps {
  label: string;
  hint?: string | undefined;
  /** What the API says against what was given. */
  refusal?: string | undefined;
  children: (attributes: {
    id: string;
    'aria-describedby': string;
    'aria-invalid': boolean;
  }) => ComponentChildren;
}

/** A control with its label above and its hint, or what is wrong with it, below. */
export function Field({ label, hint = '', refusal, children }: FieldProps) {
  const id = useId();
  const note = `${id}-note`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, 'aria-describedby': note, 'aria-invalid': refusal !== undefined })}
      <span class={refusal === undefined ? 'hint' : 'bad small'} id={note}>
        {refusal ?? hint}
      </span>
    </div>
  );
}
