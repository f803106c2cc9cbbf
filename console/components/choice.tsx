import { Field } from './field.tsx';

interface ChoiceProps {
  label: string;
  name: string;
  value: string;
  options: readonly (readonly [value: string, text: string])[];
  onChoose: (value: string) => void;
  hint?: string | undefined;
  refusal?: string | undefined;
  required?: boolean;
}

/** One of several, by name. */
export function Choice({
  label,
  name,
  value,
  options,
  onChoose,
  hint,
  refusal,
  required = false,
}: ChoiceProps) {
  return (
    <Field label={label} hint={hint} refusal={refusal}>
      {(attributes) => (
        <select
          {...attributes}
          name={name}
          value={value}
          required={required}
          onInput={(event) => onChoose(event.currentTarget.value)}
        >
          {options.map(([option, text]) => (
            <option key={option} value={option}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
