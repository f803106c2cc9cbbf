import { addressOf } from '../../addresses.ts';
import { adapters } from '../../api/requests.ts';
import type { Adapter } from '../../api/types.ts';
import { Empty } from '../../components/empty.tsx';
import { Heads } from '../../components/heads.tsx';
import { Link } from '../../components/link.tsx';
import { More } from '../../components/more.tsx';
import { Page } from '../../components/page.tsx';
import { Scroll } from '../../components/scroll.tsx';
import { Shown } from '../../components/shown.tsx';
import { Status } from '../../components/status.tsx';
import { bytes, score, time } from '../../format.ts';
import { refresh, useKnown } from '../../store/known.ts';

const EVERY_MS = 5_000;

export function AdapterList() {
  const known = useKnown(adapters(), EVERY_MS);
  return (
    <Page
      title="Adapters"
      aside={
        <Link class="button main" to={addressOf('training', 'new')}>
          Train an adapter
        </Link>
      }
    >
      <Shown known={known} retry={() => refresh(adapters())}>
        {(list) =>
          list.data.length === 0 ? (
            <Empty title="There are no adapters yet.">
              <p>Upload labelled texts, then train one on them.</p>
              <Link class="button" to={addressOf('data')}>
                Upload a file
              </Link>
            </Empty>
          ) : (
            <div class="card">
              <Scroll>
                <table>
                  <Heads
                    columns={[
                      'Adapter',
                      'Status',
                      ['F1', 'number'],
                      ['Accuracy', 'number narrow-hide'],
                      ['Method', 'narrow-hide'],
                      ['Size', 'number narrow-hide'],
                      ['Created', 'narrow-hide'],
                    ]}
                  />
                  <tbody>
                    {list.data.map((adapter) => (
                      <Row key={adapter.id} adapter={adapter} />
                    ))}
                  </tbody>
                </table>
              </Scroll>
              <More of={adapters()} list={list} />
            </div>
          )
        }
      </Shown>
    </Page>
  );
}

function Row({
  adapter: { id, status, job_id, metrics, method, size_bytes, created_at },
}: {
  adapter: Adapter;
}) {
  const isOpen = status === 'queued' || status === 'training' || status === 'paused';
  const to = isOpen && job_id !== null ? addressOf('training', job_id) : addressOf('adapters', id);
  return (
    <tr>
      <th scope="row">
        <Link to={to}>{id}</Link>
      </th>
      <td>
        <Status status={status} />
      </td>
      <td class="number">{score(metrics?.validation.f1)}</td>
      <td class="number narrow-hide">{score(metrics?.validation.accuracy)}</td>
      <td class="narrow-hide">{method.type}</td>
      <td class="number narrow-hide">{bytes(size_bytes)}</td>
      <td class="nowrap narrow-hide">{time(created_at)}</td>
    </tr>
  );
}
