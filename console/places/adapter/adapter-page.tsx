import { addressOf } from '../../addresses.ts';
import { adapter, adapters } from '../../api/requests.ts';
import { Confirm } from '../../components/confirm.tsx';
import { Page } from '../../components/page.tsx';
import { Settings } from '../../components/settings.tsx';
import { Shown } from '../../components/shown.tsx';
import { Status } from '../../components/status.tsx';
import { call, refresh, useKnown } from '../../store/known.ts';
import { go } from '../../store/session.ts';

export function AdapterPage({ id }: { id: string }) {
  const known = useKnown(adapter(id));
  const current = known.value;
  return (
    <Page
      title={current?.id ?? id}
      aside={
        current && (
          <>
            <Status status={current.status} />
            <Confirm label="Delete" title={`Delete ${current.id}?`} act={() => remove(current.id)}>
              <p>It answers no more from then on, and cannot be had back.</p>
            </Confirm>
          </>
        )
      }
    >
      <Shown known={known} retry={() => refresh(adapter(id))}>
        {(value) => <Settings adapter={value} />}
      </Shown>
    </Page>
  );
}

async function remove(id: string): Promise<void> {
  await call(`/v1/adapters/${encodeURIComponent(id)}`, { method: 'DELETE' });
  await refresh(adapters());
  go(addressOf('adapters'));
}
