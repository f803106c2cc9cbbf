import { effect, type Signal, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ApiError } from '../api/client.ts';
import { followEvents } from '../api/follow-events.ts';
import type { JobEvent } from '../api/types.ts';
import { key } from './session.ts';

/** A job's events as far as they are known, in their order. */
export interface Feed {
  readonly events: readonly JobEvent[];
  readonly connection: 'opening' | 'live' | 'lost' | 'ended';
  readonly error?: ApiError;
}

interface Following {
  readonly state: Signal<Feed>;
  readers: number;
  /** Ends the request; null while there is none. */
  abort: AbortController | null;
}

const feeds = new Map<string, Following>();

effect(() => {
  if (key.value !== null) return;
  for (const { abort } of feeds.values()) abort?.abort();
  feeds.clear();
});

/** A job's events, followed while a component shows them; what has come is not asked for again. */
export function useFeed(jobId: string): Feed {
  const feed = feeds.get(jobId) ?? {
    state: signal<Feed>({ events: [], connection: 'opening' }),
    readers: 0,
    abort: null,
  };
  feeds.set(jobId, feed);
  useEffect(() => {
    feed.readers++;
    if (!feed.abort) void follow(jobId, feed);
    return () => {
      feed.readers--;
      if (feed.readers > 0) return;
      feed.abort?.abort();
      feed.abort = null;
    };
  }, [jobId, feed]);
  return feed.state.value;
}

async function follow(jobId: string, feed: Following): Promise<void> {
  const abort = new AbortController();
  feed.abort = abort;
  const { state } = feed;
  const update = (change: Partial<Feed>) => {
    state.value = { ...state.peek(), ...change };
  };
  try {
    await followEvents(jobId, {
      key: key.peek()!,
      signal: abort.signal,
      lastId: () => state.peek().events.at(-1)?.id,
      onEvent: (event) => update({ events: [...state.peek().events, event] }),
      onConnection: (connection) => update({ connection }),
    });
    if (!abort.signal.aborted) update({ connection: 'ended' });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    update({ connection: 'ended', error });
  }
}
