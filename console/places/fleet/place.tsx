import { fleet } from '../../api/requests.ts';
import type { Fleet } from '../../api/types.ts';
import { Page } from '../../components/page.tsx';
import { Shown } from '../../components/shown.tsx';
import { Tile } from '../../components/tile.tsx';
import { count } from '../../format.ts';
import { refresh, useKnown } from '../../store/known.ts';
import { FleetJobs } from './fleet-jobs.tsx';
import { Nodes } from './nodes.tsx';
import { Residents } from './residents.tsx';

const EVERY_MS = 3_000;

/** What serves and trains: everything to an operator; to a tenant its own jobs and where its adapters lie. */
export function FleetPlace() {
  const known = useKnown(fleet(), EVERY_MS);
  return (
    <Page title="Fleet">
      <Shown known={known} retry={() => refresh(fleet())}>
        {(value) => (
          <>
            <Figures fleet={value} />
            {value.nodes && <Nodes nodes={value.nodes} />}
            <FleetJobs fleet={value} />
            <Residents />
          </>
        )}
      </Shown>
    </Page>
  );
}

function Figures({ fleet: { nodes, queue } }: { fleet: Fleet }) {
  const sumOf = (of: 'requests_per_second' | 'queue') =>
    nodes?.reduce((sum, { load }) => sum + (load?.[of] ?? 0), 0) ?? 0;
  return (
    <dl class="tiles">
      {nodes && <Tile name="Nodes" value={count(nodes.length)} />}
      {nodes && (
        <Tile name="Requests/s" value={sumOf('requests_per_second').toFixed(1)} note="last 10 to 20 s" />
      )}
      {nodes && <Tile name="Texts waiting" value={count(sumOf('queue'))} />}
      <Tile name="Jobs running" value={count(queue.running)} note={nodes ? undefined : 'your own'} />
      <Tile name="Jobs waiting" value={count(queue.waiting)} note={nodes ? undefined : 'your own'} />
    </dl>
  );
}
