import { addressOf } from '../../addresses.ts';
import { ApiError } from '../../api/client.ts';
import { adapter, adapters } from '../../api/requests.ts';
import type { Adapter } from '../../api/types.ts';
import { Confirm } from '../../components/confirm.tsx';
import { ConfusionMatrix } from '../../components/confusion-matrix.tsx';
import { LabelTable } from '../../components/label-table.tsx';
import { Link } from '../../components/link.tsx';
import { Page } from '../../components/page.tsx';
import { Problem } from '../../components/problem.tsx';
import { Settings } from '../../components/settings.tsx';
import { Shown } from '../../components/shown.tsx';
import { Snippets } from '../../components/snippets.tsx';
import { Status } from '../../components/status.tsx';
import { call, refresh, useKnown } from '../../store/known.ts';
import { go } from '../../store/session.ts';
import { Figures } from './figures.tsx';
import { OnFile } from './on-file.tsx';
import { snippetsOf } from './snippets-of.ts';
import { Versions } from './versions.tsx';

/** An adapter: how good it is, on which labels and texts it is not, and how it is used. */
export function AdapterPage({ id }: { id: string }) {
  const known = useKnown(adapter(id));
  return (
    <Page title={known.value?.id ?? id} aside={known.value && <AdapterActions adapter={known.value} />}>
      <Shown known={known} retry={() => refresh(adapter(id))}>
        {(value) => (
          <>
            {value.error && <Problem error={new ApiError(0, value.error.message)} />}
            <Figures adapter={value} />
            <Validation adapter={value} />
            {value.status === 'ready' && <OnFile adapter={value} />}
            <Versions adapter={value} />
            {value.status === 'ready' && <Snippets snippets={snippetsOf(value.id, location.origin)} />}
            <Settings adapter={value} />
          </>
        )}
      </Shown>
    </Page>
  );
}

function AdapterActions({ adapter: { id, status, job_id } }: { adapter: Adapter }) {
  const remove = async () => {
    await call(`/v1/adapters/${encodeURIComponent(id)}`, { method: 'DELETE' });
    await refresh(adapters());
    go(addressOf('adapters'));
  };
  return (
    <>
      <Status status={status} />
      {status === 'ready' && (
        <Link class="button main" to={addressOf('playground', undefined, { adapters: id })}>
          Try it
        </Link>
      )}
      {job_id !== null && (
        <Link class="button" to={addressOf('training', job_id)}>
          Its training
        </Link>
      )}
      <Confirm label="Delete" title={`Delete ${id}?`} act={remove}>
        <p>It answers no more from then on, and cannot be had back.</p>
      </Confirm>
    </>
  );
}

function Validation({ adapter: { labels, metrics } }: { adapter: Adapter }) {
  if (!metrics || !labels) return null;
  const { confusion_matrix, per_label, examples } = metrics.validation;
  const rows = labels.flatMap((label) => (per_label[label] ? [{ label, ...per_label[label] }] : []));
  return (
    <div class="columns">
      <section class="card" aria-labelledby="matrix">
        <h2 id="matrix">On {examples} validation rows</h2>
        <ConfusionMatrix labels={labels} counts={confusion_matrix} />
      </section>
      <section class="card" aria-labelledby="by-label">
        <h2 id="by-label">By label, the worst first</h2>
        <LabelTable rows={rows} />
      </section>
    </div>
  );
}
