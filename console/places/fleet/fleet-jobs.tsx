import { addressOf } from '../../addresses.ts';
import type { Fleet, FleetJob } from '../../api/types.ts';
import { Link } from '../../components/link.tsx';
import { Scroll } from '../../components/scroll.tsx';
import { Status } from '../../components/status.tsx';
import { count, duration, percent } from '../../format.ts';

/** The jobs that run and wait; another tenant's leads nowhere, as its key alone opens it. */
export function FleetJobs({ fleet: { jobs, queue, role } }: { fleet: Fleet }) {
  const hidden = queue.waiting + queue.running - jobs.length;
  return (
    <section class="card" aria-labelledby="jobs">
      <h2 id="jobs">Jobs under way</h2>
      {jobs.length === 0 ? (
        <p class="muted">None.</p>
      ) : (
        <Scroll>
          <table>
            <thead>
              <tr>
                <th scope="col">Adapter</th>
                {role === 'operator' && <th scope="col">Tenant</th>}
                <th scope="col">Status</th>
                <th scope="col">Progress</th>
                <th scope="col">Base model</th>
                {role === 'operator' && <th scope="col">Node</th>}
              </tr>
            </thead>
            <tbody>
              {jobs.map((job) => (
                <tr key={job.id}>
                  <th scope="row">
                    <Link to={addressOf('training', job.id)}>{job.adapter}</Link>
                  </th>
                  {role === 'operator' && <td>{job.tenant}</td>}
                  <td>
                    <Status status={job.status} />
                  </td>
                  <td>{progressOf(job)}</td>
                  <td>{job.base_model}</td>
                  {role === 'operator' && <td class="mono small">{job.node ?? '–'}</td>}
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      {hidden > 0 && <p class="muted">and {count(hidden)} more</p>}
    </section>
  );
}

function progressOf({ progress }: FleetJob): string {
  if (!progress) return '–';
  const left = progress.eta_seconds === null ? '' : `, ${duration(progress.eta_seconds)} left`;
  return `${percent(progress.step / Math.max(1, progress.steps))}${left}`;
}
