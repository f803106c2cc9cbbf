import { useState } from 'preact/hooks';
import { addressOf } from '../../addresses.ts';
import { ApiError } from '../../api/client.ts';
import { datasets, models, openApi } from '../../api/requests.ts';
import type { Adapter, Dataset } from '../../api/types.ts';
import { Choice } from '../../components/choice.tsx';
import { Empty } from '../../components/empty.tsx';
import { Field } from '../../components/field.tsx';
import { Link } from '../../components/link.tsx';
import { Page } from '../../components/page.tsx';
import { Problem } from '../../components/problem.tsx';
import { Shown } from '../../components/shown.tsx';
import { count } from '../../format.ts';
import { callJson, useKnown } from '../../store/known.ts';
import { go, place } from '../../store/session.ts';
import { AllSettings } from './all-settings.tsx';
import { requestOf, type Typed } from './training-request.ts';

/** A training to start: three fields, and behind them all others, each "auto" with what it would be. */
export function TrainingForm() {
  const files = useKnown(datasets());
  const known = useKnown(models());
  const baseModels = known.value?.data.filter((each) => 'nodes' in each);
  const document = useKnown(openApi());
  const [typed, setTyped] = useState<Typed>({ training_file: place.value.query.get('file') ?? '' });
  const [error, setError] = useState<ApiError>();
  const [isBusy, setBusy] = useState(false);
  const schema = document.value?.components.schemas.CreateAdapter;
  const set = (path: string) => (value: string) => setTyped((before) => ({ ...before, [path]: value }));
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    try {
      const adapter = await callJson<Adapter>('/v1/adapters', {
        method: 'POST',
        json: requestOf(typed, schema),
      });
      go(addressOf('training', adapter.job_id!));
    } catch (cause) {
      if (!(cause instanceof ApiError)) throw cause;
      setError(cause);
    } finally {
      setBusy(false);
    }
  };
  const refusalOf = (path: string) => (error?.param === path ? error.message : undefined);
  const chosen = files.value?.data.find(({ id }) => id === typed.training_file);
  return (
    <Page title="Train an adapter">
      <Shown known={files}>
        {({ data }) =>
          data.length === 0 ? (
            <Empty title="There is no file to train on yet.">
              <Link class="button main" to={addressOf('data')}>
                Upload one
              </Link>
            </Empty>
          ) : (
            <form class="card" onSubmit={submit}>
              <div class="fields">
                <NameField value={typed.name ?? ''} onType={set('name')} refusal={refusalOf('name')} />
                <Choice
                  label="Training file"
                  name="training_file"
                  required
                  value={typed.training_file ?? ''}
                  onChoose={set('training_file')}
                  options={[['', 'Choose a file'], ...data.map(optionOf)]}
                  hint={chosen && `${Object.keys(chosen.labels).length} labels, ${chosen.id}`}
                  refusal={refusalOf('training_file')}
                />
                <Choice
                  label="Base model"
                  name="base_model"
                  value={typed.base_model ?? ''}
                  onChoose={set('base_model')}
                  options={[['', 'default'], ...(baseModels?.map(({ id }) => [id, id] as const) ?? [])]}
                  hint={baseModels?.length === 0 ? 'No node is up.' : undefined}
                  refusal={refusalOf('base_model')}
                />
              </div>
              {schema && (
                <details>
                  <summary>All settings</summary>
                  <AllSettings
                    schema={schema}
                    typed={typed}
                    set={set}
                    refusalOf={refusalOf}
                    file={chosen}
                    files={data}
                  />
                </details>
              )}
              {error && <Problem error={error} />}
              <div class="actions">
                <button type="submit" class="main" disabled={isBusy}>
                  Start training
                </button>
              </div>
            </form>
          )
        }
      </Shown>
    </Page>
  );
}

function optionOf({ id, filename, examples }: Dataset): [string, string] {
  return [id, `${filename} (${count(examples)} rows)`];
}

interface NameFieldProps {
  value: string;
  onType: (value: string) => void;
  refusal: string | undefined;
}

function NameField({ value, onType, refusal }: NameFieldProps) {
  return (
    <Field label="Name" hint="such as spam; a name that exists gets a new version" refusal={refusal}>
      {(attributes) => (
        <input
          {...attributes}
          name="name"
          required
          autocomplete="off"
          pattern="[a-z0-9][a-z0-9._\-]{0,62}"
          title="Lower-case letters, digits, dots, underscores and hyphens"
          value={value}
          onInput={(event) => onType(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}
