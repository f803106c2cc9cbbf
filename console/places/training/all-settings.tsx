import type { JsonSchema } from '../../api/requests.ts';
import type { Dataset } from '../../api/types.ts';
import { Choice } from '../../components/choice.tsx';
import { autoOf } from './auto-values.ts';
import { SchemaField } from './schema-field.tsx';
import { methodsOf } from './schema-fields.ts';
import {
  DEFAULT_METHOD,
  hyperparameterFields,
  methodFields,
  OTHER_FIELDS,
  type Typed,
} from './training-request.ts';

interface AllSettingsProps {
  schema: JsonSchema;
  typed: Typed;
  set: (path: string) => (typed: string) => void;
  refusalOf: (path: string) => string | undefined;
  /** The training file that is chosen. */
  file: Dataset | undefined;
  files: readonly Dataset[];
}

/** Every other field of a training, from the API's own schema: a method or field that is new there is here by itself. */
export function AllSettings({ schema, typed, set, refusalOf, file, files }: AllSettingsProps) {
  const methods = [...methodsOf(schema.properties?.method ?? {}).keys()];
  const method = typed['method.type'] || DEFAULT_METHOD;
  const field = ([path, one]: [string, JsonSchema]) => (
    <SchemaField
      key={path}
      name={path.split('.').at(-1)!}
      schema={one}
      typed={typed[path] ?? ''}
      auto={autoOf(path, file, typed)}
      refusal={refusalOf(path)}
      onType={set(path)}
    />
  );
  return (
    <div class="all-settings">
      <fieldset>
        <legend>Data</legend>
        <div class="fields">
          <Choice
            label="Validation file"
            name="validation_file"
            value={typed.validation_file ?? ''}
            onChoose={set('validation_file')}
            options={[
              ['', 'none: rows are set aside'],
              ...files.map(({ id, filename }) => [id, filename] as const),
            ]}
            refusal={refusalOf('validation_file')}
          />
          {OTHER_FIELDS.map((name) => field([name, schema.properties?.[name] ?? {}]))}
        </div>
      </fieldset>
      <fieldset>
        <legend>Method</legend>
        <div class="fields">
          <Choice
            label="Method"
            name="method.type"
            value={method}
            onChoose={set('method.type')}
            options={methods.map((type) => [type, type === 'auto' ? 'auto: lora' : type] as const)}
            refusal={refusalOf('method.type')}
          />
          {methodFields(schema, typed).map(field)}
        </div>
      </fieldset>
      <fieldset>
        <legend>Hyperparameters</legend>
        <div class="fields">{hyperparameterFields(schema).map(field)}</div>
      </fieldset>
    </div>
  );
}
