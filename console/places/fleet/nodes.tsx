import type { FleetNode } from '../../api/types.ts';
import { Empty } from '../../components/empty.tsx';
import { Heads } from '../../components/heads.tsx';
import { Scroll } from '../../components/scroll.tsx';
import { count, percent, time } from '../../format.ts';

const ms = (value: number | null | undefined) =>
  value === null || value === undefined ? '–' : `${value.toFixed(1)} ms`;

/** Every node that is up: what it has, and what it does at the moment. */
export function Nodes({ nodes }: { nodes: readonly FleetNode[] }) {
  if (nodes.length === 0) {
    return <Empty title="No node is up: nothing can be trained or classified." />;
  }
  return (
    <section class="card" aria-labelledby="nodes">
      <h2 id="nodes">Nodes</h2>
      <Scroll>
        <table>
          <Heads
            columns={[
              'Node',
              'Base models',
              ['Requests/s', 'number'],
              ['p50', 'number'],
              ['p99', 'number'],
              ['Batch fill', 'number'],
              ['Adapters a batch', 'number'],
              ['Texts waiting', 'number'],
              ['Slots, memory, disk', 'number'],
            ]}
          />
          <tbody>
            {nodes.map(({ id, device, version, registered_at, base_models, load }) => (
              <tr key={id}>
                <th scope="row" title={`version ${version}, up since ${time(registered_at)}`}>
                  <span class="mono small">{id}</span> <span class="muted">{device}</span>
                </th>
                <td>
                  {base_models.map((model) => (
                    <div key={model.id}>
                      {model.id} <span class="muted small">{model.precisions.join(', ')}</span>
                    </div>
                  ))}
                </td>
                <td class="number">{load?.requests_per_second.toFixed(1) ?? '–'}</td>
                <td class="number">{ms(load?.p50_ms)}</td>
                <td class="number">{ms(load?.p99_ms)}</td>
                <td class="number">{load?.batch_fill == null ? '–' : percent(load.batch_fill)}</td>
                <td class="number">{load?.batch_adapters?.toFixed(1) ?? '–'}</td>
                <td class="number">{load ? count(load.queue) : '–'}</td>
                <td class="number">
                  {load ? `${load.resident.slot}, ${load.resident.memory}, ${load.resident.disk}` : '–'}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
    </section>
  );
}
