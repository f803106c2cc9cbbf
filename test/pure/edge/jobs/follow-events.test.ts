import { describe, expect, it } from 'vitest';
import { type EventFeed, followEvents } from '../../../../edge/jobs/follow-events.ts';
import type { JobEvent } from '../../../../shared/api/jobs.ts';

const event = (id: string): JobEvent => ({
  id,
  object: 'fine_tuning.job.event',
  created_at: 0,
  level: 'info',
  message: id,
  type: 'message',
  data: null,
});

/** Follows with a clock that only sleeping moves; `read` says what there is at each poll. */
async function follow(read: EventFeed['read'], after?: string, leavesAt = Number.POSITIVE_INFINITY) {
  const log: string[] = [];
  let now = 0;
  await followEvents(
    {
      read,
      send: async ({ id }) => void log.push(id),
      keepAlive: async () => void log.push(`comment at ${now}`),
      sleep: async (ms) => {
        now += ms;
      },
      isAborted: () => now >= leavesAt,
    },
    after,
  );
  return { log, now };
}

describe('followEvents', () => {
  it('asks from the last event on, and ends with the job', async () => {
    const asked: (string | undefined)[] = [];
    const polls = [['b', 'c'], [], ['d']];
    const { log } = await follow(async (after) => {
      asked.push(after);
      const events = polls.shift()!.map(event);
      return { events, isOver: polls.length === 0 };
    }, 'a');
    expect(log).toEqual(['b', 'c', 'd']);
    expect(asked).toEqual(['a', 'c', 'c']);
  });

  it('sends a comment in every 15 quiet seconds and ends after five minutes', async () => {
    const { log, now } = await follow(async () => ({ events: [], isOver: false }));
    expect(now).toBe(300_000);
    expect(log).toHaveLength(20);
    expect(log[0]).toBe('comment at 14000');
  });

  it('stops asking when the client has left', async () => {
    let polls = 0;
    await follow(
      async () => {
        polls += 1;
        return { events: [], isOver: false };
      },
      undefined,
      3000,
    );
    expect(polls).toBe(3);
  });
});
