import { addressOf } from '../../addresses.ts';
import { jobs } from '../../api/requests.ts';
import type { Job } from '../../api/types.ts';
import { Empty } from '../../components/empty.tsx';
import { Heads } from '../../components/heads.tsx';
import { Link } from '../../components/link.tsx';
import { More } from '../../components/more.tsx';
import { Page } from '../../components/page.tsx';
import { Scroll } from '../../components/scroll.tsx';
import { Shown } from '../../components/shown.tsx';
import { Status } from '../../components/status.tsx';
import { duration, percent, time } from '../../format.ts';
import { refresh, useKnown } from '../../store/known.ts';

const EVERY_MS = 3_000;

export function JobList() {
  const known = useKnown(jobs(), EVERY_MS);
  const start = (
    <Link class="button main" to={addressOf('training', 'new')}>
      Train an adapter
    </Link>
  );
  return (
    <Page title="Training" aside={start}>
      <Shown known={known} retry={() => refresh(jobs())}>
        {(list) =>
          list.data.length === 0 ? (
            <Empty title="Nothing has been trained yet.">
              <p>A few hundred labelled texts and some minutes make an adapter.</p>
            </Empty>
          ) : (
            <div class="card">
              <Scroll>
                <table>
                  <Heads
                    columns={[
                      'Adapter',
                      'Status',
                      'Progress',
                      ['Base model', 'narrow-hide'],
                      ['Created', 'narrow-hide'],
                    ]}
                  />
                  <tbody>
                    {list.data.map((job) => (
                      <tr key={job.id}>
                        <th scope="row">
                          <Link to={addressOf('training', job.id)}>{job.adapter}</Link>
                        </th>
                        <td>
                          <Status status={job.status} />
                        </td>
                        <td>{progressOf(job)}</td>
                        <td class="narrow-hide">{job.model}</td>
                        <td class="nowrap narrow-hide">{time(job.created_at)}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </Scroll>
              <More of={jobs()} list={list} />
            </div>
          )
        }
      </Shown>
    </Page>
  );
}

function progressOf({ status, progress, position, started_at, finished_at, error }: Job): string {
  if (status === 'queued') return position === null ? 'waits' : `number ${position} in the queue`;
  if (status === 'running')
    return progress ? percent(progress.step / Math.max(1, progress.steps)) : 'prepares';
  if (status === 'failed') return error?.message ?? 'failed';
  return started_at !== null && finished_at !== null ? `took ${duration(finished_at - started_at)}` : '–';
}
