import { useState } from 'preact/hooks';
import { ApiError } from '../../api/client.ts';
import { aliases, aliasHistory } from '../../api/requests.ts';
import type { Adapter, Alias } from '../../api/types.ts';
import { Confirm } from '../../components/confirm.tsx';
import { Field } from '../../components/field.tsx';
import { Problem } from '../../components/problem.tsx';
import { Shown } from '../../components/shown.tsx';
import { time } from '../../format.ts';
import { call, callJson, refresh, useKnown } from '../../store/known.ts';

/** The aliases of an adapter's name: what each means, who moved it, and the ways to move it and back. */
export function Aliases({ adapter }: { adapter: Adapter }) {
  const known = useKnown(aliases(adapter.name));
  const [error, setError] = useState<ApiError>();
  const act = async (alias: string, path: string, options: { method: 'PUT' | 'POST'; json?: unknown }) => {
    try {
      await callJson(pathOf(adapter.name, alias) + path, options);
      setError(undefined);
      await Promise.all([refresh(aliases(adapter.name)), refresh(aliasHistory(adapter.name, alias))]);
    } catch (cause) {
      if (!(cause instanceof ApiError)) throw cause;
      setError(cause);
    }
  };
  const point = (alias: string) => act(alias, '', { method: 'PUT', json: { version: adapter.version } });
  return (
    <>
      <h3>Aliases</h3>
      {error && <Problem error={error} />}
      <Shown known={known}>
        {({ data }) => (
          <>
            {data.length > 0 && (
              <ul class="aliases">
                {data.map((alias) => (
                  <OneAlias
                    key={alias.id}
                    alias={alias}
                    shown={adapter}
                    onPoint={() => point(alias.alias)}
                    onRollback={() => act(alias.alias, '/rollback', { method: 'POST' })}
                  />
                ))}
              </ul>
            )}
            {adapter.status === 'ready' && <NewAlias adapter={adapter} onName={point} />}
          </>
        )}
      </Shown>
    </>
  );
}

const pathOf = (name: string, alias: string) =>
  `/v1/adapters/${encodeURIComponent(name)}/aliases/${encodeURIComponent(alias)}`;

interface OneAliasProps {
  alias: Alias;
  /** The version whose page it is. */
  shown: Adapter;
  onPoint: () => void;
  onRollback: () => void;
}

function OneAlias({
  alias: { id, name, alias, adapter, updated_at, updated_by },
  shown,
  onPoint,
  onRollback,
}: OneAliasProps) {
  const [isOpen, setOpen] = useState(false);
  const remove = async () => {
    await call(pathOf(name, alias), { method: 'DELETE' });
    await refresh(aliases(name));
  };
  return (
    <li>
      <div class="actions">
        <strong>{id}</strong> means {adapter}
        <span class="muted small">
          since {time(updated_at)}, by {updated_by.name ?? updated_by.key}
        </span>
        {adapter !== shown.id && shown.status === 'ready' && (
          <button type="button" onClick={onPoint}>
            Point to {shown.id}
          </button>
        )}
        <button type="button" onClick={onRollback}>
          Roll back
        </button>
        <button type="button" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          History
        </button>
        <Confirm label="Delete" title={`Delete ${id}?`} act={remove}>
          <p>Whoever asks for {id} gets an error from then on.</p>
        </Confirm>
      </div>
      {isOpen && <History name={name} alias={alias} />}
    </li>
  );
}

function History({ name, alias }: { name: string; alias: string }) {
  const known = useKnown(aliasHistory(name, alias));
  const versionName = (one: number | null) => (one === null ? 'nothing' : `${name}@${one}`);
  return (
    <Shown known={known}>
      {({ data }) => (
        <ol class="events">
          {data.map(({ id, created_at, by, from, to, rollback }) => (
            <li key={id}>
              <time dateTime={new Date(created_at * 1000).toISOString()}>{time(created_at)}</time>
              <span>
                {versionName(from)} to {versionName(to)}
                {rollback && ' (rolled back)'}, by {by.name ?? by.key}
              </span>
            </li>
          ))}
        </ol>
      )}
    </Shown>
  );
}

function NewAlias({ adapter, onName }: { adapter: Adapter; onName: (alias: string) => Promise<void> }) {
  const [typed, setTyped] = useState('');
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    await onName(typed);
    setTyped('');
  };
  return (
    <form class="row" onSubmit={submit}>
      <Field label={`New alias for ${adapter.id}`} hint={`such as prod: ${adapter.name}@prod`}>
        {(attributes) => (
          <input
            {...attributes}
            required
            autocomplete="off"
            pattern="[a-z][a-z0-9\-]{0,31}"
            title="Lower-case letters, digits and hyphens, beginning with a letter"
            value={typed}
            onInput={(event) => setTyped(event.currentTarget.value)}
          />
        )}
      </Field>
      <button type="submit">Add alias</button>
    </form>
  );
}
