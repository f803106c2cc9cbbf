import type { JobEvent } from '../../shared/api/jobs.ts';

const POLL_MS = 1000;
const COMMENT_MS = 15_000;
/** Most milliseconds of a stream; its client then resumes from the last event. A poll is 2 of the 1,000 queries that a request may make. */
const STREAM_MS = 5 * 60_000;

/** The outside world of a stream; tests bring their own. */
export interface EventFeed {
  /** Reads the events after this id, oldest first; `isOver` says that there will be no more. */
  read(after: string | undefined): Promise<{ events: JobEvent[]; isOver: boolean }>;
  send(event: JobEvent): Promise<void>;
  /** Sends a comment, which keeps proxies from closing a quiet connection. */
  keepAlive(): Promise<void>;
  sleep(ms: number): Promise<unknown>;
  isAborted(): boolean;
}

/** Sends a job's events as they come, until the last one, until the client leaves or for five minutes. */
export async function followEvents(feed: EventFeed, after: string | undefined): Promise<void> {
  let last = after;
  let quietMs = 0;
  for (let elapsedMs = 0; elapsedMs < STREAM_MS && !feed.isAborted(); elapsedMs += POLL_MS) {
    const { events, isOver } = await feed.read(last);
    for (const event of events) await feed.send(event);
    last = events.at(-1)?.id ?? last;
    if (isOver) return;
    quietMs = events.length > 0 ? 0 : quietMs + POLL_MS;
    if (quietMs >= COMMENT_MS) {
      await feed.keepAlive();
      quietMs = 0;
    }
    await feed.sleep(POLL_MS);
  }
}
