import { addressOf } from '../../addresses.ts';
import { adapters } from '../../api/requests.ts';
import type { Adapter } from '../../api/types.ts';
import { Heads } from '../../components/heads.tsx';
import { Link } from '../../components/link.tsx';
import { Scroll } from '../../components/scroll.tsx';
import { Shown } from '../../components/shown.tsx';
import { Status } from '../../components/status.tsx';
import { bytes, score, time } from '../../format.ts';
import { useKnown } from '../../store/known.ts';
import { Aliases } from './aliases.tsx';

/** All versions of an adapter's name, and which of them aliases mean. */
export function Versions({ adapter }: { adapter: Adapter }) {
  const versions = useKnown(adapters(adapter.name));
  return (
    <section class="card" aria-labelledby="versions">
      <div class="page-head">
        <h2 id="versions">Versions of {adapter.name}</h2>
        {(versions.value?.data.length ?? 0) > 1 && (
          <Link
            class="button"
            to={addressOf('compare', undefined, { adapters: comparedWith(adapter, versions.value!.data) })}
          >
            Compare
          </Link>
        )}
      </div>
      <Shown known={versions}>
        {({ data }) => (
          <Scroll>
            <table>
              <Heads
                columns={[
                  'Version',
                  'Status',
                  ['F1', 'number'],
                  ['Size', 'number narrow-hide'],
                  ['Created', 'narrow-hide'],
                ]}
              />
              <tbody>
                {data.map((version) => (
                  <tr key={version.id} class={version.id === adapter.id ? 'kept' : ''}>
                    <th scope="row">
                      <Link to={addressOf('adapters', version.id)}>{version.id}</Link>
                    </th>
                    <td>
                      <Status status={version.status} />
                    </td>
                    <td class="number">{score(version.metrics?.validation.f1)}</td>
                    <td class="number narrow-hide">{bytes(version.size_bytes)}</td>
                    <td class="nowrap narrow-hide">{time(version.created_at)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
        )}
      </Shown>
      <Aliases adapter={adapter} />
    </section>
  );
}

/** This version and another ready one, the newest before it. */
function comparedWith(adapter: Adapter, versions: readonly Adapter[]): string {
  const others = versions.filter(({ id, status }) => id !== adapter.id && status === 'ready');
  return [others[0]?.id, adapter.id].filter((id) => id !== undefined).join(',');
}
