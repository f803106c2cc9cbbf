import { useState } from 'preact/hooks';
import { addressOf } from '../../addresses.ts';
import { adapter, adapters } from '../../api/requests.ts';
import { Heads } from '../../components/heads.tsx';
import { Link } from '../../components/link.tsx';
import { Measured } from '../../components/measured.tsx';
import { Scroll } from '../../components/scroll.tsx';
import { Shown } from '../../components/shown.tsx';
import { useKnown } from '../../store/known.ts';

/** Adapters whose places are asked for unless more are wanted: each is a question to every node. */
const FIRST = 10;

const TIERS = { slot: 'ready to run', memory: 'in memory', disk: 'on disk' };

/** Where the tenant's own adapters lie, and how fast they answer. */
export function Residents() {
  const known = useKnown(adapters());
  const [isAll, setAll] = useState(false);
  return (
    <section class="card" aria-labelledby="residents">
      <h2 id="residents">Where your adapters lie</h2>
      <Shown known={known}>
        {({ data }) => {
          const ready = data.filter(({ status }) => status === 'ready');
          const shown = isAll ? ready : ready.slice(0, FIRST);
          if (ready.length === 0) return <p class="muted">You have no adapter that is ready.</p>;
          return (
            <>
              <Scroll>
                <table>
                  <Heads columns={['Adapter', 'On nodes', 'A short text takes']} />
                  <tbody>
                    {shown.map(({ id }) => (
                      <Resident key={id} id={id} />
                    ))}
                  </tbody>
                </table>
              </Scroll>
              {shown.length < ready.length && (
                <div class="actions">
                  <button type="button" onClick={() => setAll(true)}>
                    Show all {ready.length}
                  </button>
                </div>
              )}
            </>
          );
        }}
      </Shown>
    </section>
  );
}

function Resident({ id }: { id: string }) {
  const { value, error } = useKnown(adapter(id));
  const places = value?.resident?.map(({ node, tier }) => `${TIERS[tier]} on ${node}`);
  return (
    <tr>
      <th scope="row">
        <Link to={addressOf('adapters', id)}>{id}</Link>
      </th>
      <td>
        {places?.map((text) => (
          <div key={text}>{text}</div>
        ))}
        {places?.length === 0 && 'on none; it is loaded when somebody asks'}
        {!places && (error?.message ?? '…')}
      </td>
      <td>
        <Measured id={id} />
      </td>
    </tr>
  );
}
