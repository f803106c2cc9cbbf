import { ApiError } from '../../api/client.ts';
import type { Job } from '../../api/types.ts';
import { Problem } from '../../components/problem.tsx';
import { clock, count, duration, number, percent } from '../../format.ts';
import type { Feed } from '../../store/feeds.ts';

/** How far a training is, and how long it still takes. */
export function ProgressCard({ job, connection }: { job: Job; connection: Feed['connection'] }) {
  const { status, progress } = job;
  const share = status === 'succeeded' ? 1 : progress ? progress.step / Math.max(1, progress.steps) : 0;
  return (
    <section class="card" aria-label="Progress">
      {connection === 'lost' && (
        <p role="status" class="bad">
          The connection is lost; trying again…
        </p>
      )}
      {job.error && <Problem error={new ApiError(0, job.error.message)} />}
      <progress max={1} value={share} aria-label="Share of steps done" />
      <dl class="pairs">
        {status === 'queued' && (
          <>
            <dt>Place in the queue</dt>
            <dd>{job.position ?? '–'}</dd>
            <dt>Expected to start</dt>
            <dd>{job.estimated_start === null ? 'unknown' : clock(job.estimated_start)}</dd>
          </>
        )}
        {progress && (
          <>
            <dt>Step</dt>
            <dd>
              {count(progress.step)} of {count(progress.steps)} ({percent(share)}), epoch{' '}
              {number(progress.epoch)}
            </dd>
            <dt>Loss</dt>
            <dd>{progress.loss === null ? '–' : number(progress.loss)}</dd>
            {status === 'running' && (
              <>
                <dt>Speed</dt>
                <dd>{count(Math.round(progress.tokens_per_second))} tokens/s</dd>
                <dt>Time left</dt>
                <dd>{progress.eta_seconds === null ? '–' : duration(progress.eta_seconds)}</dd>
              </>
            )}
          </>
        )}
        {status === 'running' && !progress && (
          <>
            <dt>Now</dt>
            <dd>reads and tokenizes the texts</dd>
          </>
        )}
        {job.started_at !== null && job.finished_at !== null && (
          <>
            <dt>Took</dt>
            <dd>{duration(job.finished_at - job.started_at)}</dd>
          </>
        )}
        {job.attempt > 1 && (
          <>
            <dt>Attempt</dt>
            <dd>{job.attempt}</dd>
          </>
        )}
      </dl>
    </section>
  );
}
