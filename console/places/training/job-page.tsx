import { useEffect } from 'preact/hooks';
import { addressOf } from '../../addresses.ts';
import { adapter, job } from '../../api/requests.ts';
import type { Job } from '../../api/types.ts';
import { Confirm } from '../../components/confirm.tsx';
import { Link } from '../../components/link.tsx';
import { Page } from '../../components/page.tsx';
import { Settings } from '../../components/settings.tsx';
import { Shown } from '../../components/shown.tsx';
import { Status } from '../../components/status.tsx';
import { epochsOf } from '../../figures/epochs.ts';
import { useFeed } from '../../store/feeds.ts';
import { callJson, refresh, useKnown } from '../../store/known.ts';
import { EpochCurves } from './epoch-curves.tsx';
import { EventLog } from './event-log.tsx';
import { ProgressCard } from './progress-card.tsx';

const EVERY_MS = 1_000;

/** A training, live while it runs and as it went once it has ended. */
export function JobPage({ id }: { id: string }) {
  const feed = useFeed(id);
  const known = useKnown(job(id), feed.connection === 'ended' ? undefined : EVERY_MS);
  const ref = known.value?.adapter;
  const trained = useKnown(ref === undefined ? undefined : adapter(ref));
  // What "auto" came to is known from the first attempt on, and the metrics once the job has ended.
  useEffect(() => {
    if (ref !== undefined) void refresh(adapter(ref));
  }, [ref, known.value?.status, feed.events.length > 0]);
  return (
    <Page title={`Training ${ref ?? ''}`} aside={known.value && <JobActions job={known.value} />}>
      <Shown known={known} retry={() => refresh(job(id))}>
        {(current) => (
          <>
            <ProgressCard job={current} connection={feed.connection} />
            <div class="columns">
              <EpochCurves epochs={epochsOf(feed.events)} isOver={feed.connection === 'ended'} />
              <EventLog feed={feed} />
            </div>
            {trained.value && <Settings adapter={trained.value} />}
          </>
        )}
      </Shown>
    </Page>
  );
}

function JobActions({ job: { id, status, adapter: ref } }: { job: Job }) {
  const isOpen = status === 'queued' || status === 'running' || status === 'paused';
  return (
    <>
      <Status status={status} />
      {status === 'succeeded' && (
        <Link class="button main" to={addressOf('adapters', ref)}>
          Open {ref}
        </Link>
      )}
      {isOpen && (
        <Confirm
          label="Cancel training"
          title={`Cancel the training of ${ref}?`}
          act={async () => {
            await callJson(`/v1/fine_tuning/jobs/${encodeURIComponent(id)}/cancel`, { method: 'POST' });
            await refresh(job(id));
          }}
        >
          <p>It stops within seconds, and {ref} will never exist.</p>
        </Confirm>
      )}
    </>
  );
}
