import { EventSourceParserStream } from 'eventsource-parser/stream';
import { ApiError, send } from './client.ts';
import type { JobEvent } from './types.ts';

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

export interface EventFollower {
  key: string;
  signal: AbortSignal;
  /** The id of the last event that is known; undefined for none. */
  lastId(): string | undefined;
  onEvent(event: JobEvent): void;
  onConnection(state: 'live' | 'lost'): void;
}

/**
 * Follows a job's events until its last one. A connection that breaks off is opened again behind the last event that came, so none is lost or
 * comes twice; the browser's EventSource cannot be used, as it sends no key.
 * @throws {ApiError} where the API refuses, such as for a job that there is not
 */
export async function followEvents(jobId: string, follower: EventFollower): Promise<void> {
  const { signal } = follower;
  for (let pause = FIRST_PAUSE_MS; !signal.aborted; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    const before = follower.lastId();
    try {
      if (await followOnce(jobId, follower)) return;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429)
        throw error;
    }
    if (signal.aborted) return;
    // The edge ends a stream after minutes, and a job's last event ends it too; the next answer tells them apart.
    if (follower.lastId() !== before) pause = FIRST_PAUSE_MS / 2;
    else follower.onConnection('lost');
    await sleep(pause, signal);
  }
}

/** Whether the job has ended and its last event is known. */
async function followOnce(
  jobId: string,
  { key, signal, lastId, onEvent, onConnection }: EventFollower,
): Promise<boolean> {
  const last = lastId();
  const response = await send(`/v1/fine_tuning/jobs/${encodeURIComponent(jobId)}/events`, {
    key,
    signal,
    headers: { accept: 'text/event-stream', ...(last !== undefined && { 'last-event-id': last }) },
  });
  if (response.status === 204) return true;
  onConnection('live');
  const events = response
    .body!.pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream());
  const reader = events.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return false;
    onEvent(JSON.parse(value.data) as JobEvent);
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}
