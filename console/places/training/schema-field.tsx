import type { JsonSchema } from '../../api/requests.ts';
import { Field } from '../../components/field.tsx';
import { kindOf } from './schema-fields.ts';

interface SchemaFieldProps {
  name: string;
  schema: JsonSchema;
  typed: string;
  /** What "auto" would come to, in words; undefined where nobody knows before the training. */
  auto: string | undefined;
  refusal: string | undefined;
  onType: (typed: string) => void;
}

/** One field of the request, as its schema has it. */
export function SchemaField({ name, schema, typed, auto, refusal, onType }: SchemaFieldProps) {
  const field = kindOf(schema);
  const left =
    typeof schema.default === 'number' ? String(schema.default) : schema.default === 'auto' ? 'auto' : 'none';
  const automatic = auto === undefined ? left : `auto: ${auto}`;
  const common = {
    name,
    value: typed,
    onInput: (event: { currentTarget: { value: string } }) => onType(event.currentTarget.value),
  };
  return (
    <Field label={name.replaceAll('_', ' ')} hint={hintOf(schema)} refusal={refusal}>
      {(attributes) => {
        if (field.kind === 'text') return <input {...attributes} {...common} placeholder={automatic} />;
        if (field.kind === 'number') {
          const step = field.isWhole ? 1 : 'any';
          const range = { min: field.min, max: field.max, step };
          return <input {...attributes} {...common} {...range} type="number" placeholder={automatic} />;
        }
        return (
          <select {...attributes} {...common}>
            <option value="">{automatic}</option>
            {field.choices.map((choice) => (
              <option key={choice} value={choice}>
                {choice}
              </option>
            ))}
          </select>
        );
      }}
    </Field>
  );
}

function hintOf(schema: JsonSchema): string {
  const field = kindOf(schema);
  if (field.kind === 'number' && field.max !== undefined) return `${field.min ?? 0} to ${field.max}`;
  if (field.kind !== 'text') return '';
  const forms = { names: 'names, with commas between them', json: 'a JSON object', plain: '' };
  return [...field.choices, forms[field.form]].filter((part) => part !== '').join(', or ');
}
