import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import { listOf, pageQuery } from '../../shared/api/common.ts';
import { type JobEvent, jobEvent } from '../../shared/api/jobs.ts';
import { AppError } from '../../shared/errors.ts';
import { eventId, eventNumber, eventsSince, pageOfEvents, viewEvent } from '../db/event-pages.ts';
import { findJob } from '../db/jobs.ts';
import type { AppEnv } from '../http/app-env.ts';
import { toPage } from '../http/pages.ts';
import { named } from '../http/responses.ts';
import { followEvents } from '../jobs/follow-events.ts';

const EVENT_STREAM = 'text/event-stream';

const list = createRoute({
  operationId: 'listJobEvents',
  method: 'get',
  path: '/v1/fine_tuning/jobs/{id}/events',
  summary: "List a job's events; with Accept: text/event-stream, follow them as they come",
  request: { params: z.object({ id: z.string() }), query: pageQuery },
  responses: {
    200: {
      description: 'A page, or from the oldest on a stream that `Last-Event-ID` resumes',
      content: {
        'application/json': { schema: named('JobEventList', listOf(named('JobEvent', jobEvent))) },
        [EVENT_STREAM]: { schema: z.string() },
      },
    },
    204: { description: 'There is nothing to follow: the job has ended, and its last event was seen' },
  },
});

export const jobEvents = new OpenAPIHono<AppEnv>().openapi(list, async (c) => {
  const { id } = c.req.valid('param');
  const { after, limit, order } = c.req.valid('query');
  const job = await findJob(c.get('db'), c.get('tenant'), id);
  if (!job) throw new AppError('job_not_found', `There is no job ${id}.`);
  if (c.req.header('accept')?.includes(EVENT_STREAM)) {
    refusePage(c);
    return streamEvents(c, id, c.req.header('last-event-id') ?? after);
  }
  const rows = await pageOfEvents(c.get('db'), id, { last: numberOf(id, after, 'after'), limit, order });
  return c.json(
    toPage(rows, limit, viewEvent, (item) => item.id),
    200,
  );
});

/** Refuses paging parameters: a stream gives every event from its beginning or cursor on, oldest first. */
function refusePage(c: Context<AppEnv>): void {
  const param = ['limit', 'order'].find((name) => c.req.query(name) !== undefined);
  if (param === undefined) return;
  throw new AppError('invalid_request', `${param} is of pages; a stream gives all events as they come.`, {
    param,
  });
}

async function streamEvents(c: Context<AppEnv>, jobId: string, after: string | undefined): Promise<Response> {
  const db = c.get('db');
  const read = (last: string | undefined) =>
    eventsSince(db, jobId, numberOf(jobId, last, 'Last-Event-ID') ?? 0);
  const first = await read(after);
  // 204 tells an EventSource not to reconnect.
  if (first.isOver && first.events.length === 0) return c.body(null, 204);
  return streamSSE(c, async (stream) => {
    const feed = {
      read,
      send: (event: JobEvent) => stream.writeSSE({ id: event.id, data: JSON.stringify(event) }),
      keepAlive: async () => void (await stream.write(': still there\n\n')),
      sleep: (ms: number) => stream.sleep(ms),
      isAborted: () => stream.aborted,
    };
    try {
      await followEvents(feed, after);
    } catch {
      // The error is not rethrown: Hono would send or log its message, which may quote a statement. The client reconnects by itself.
      console.error(JSON.stringify({ level: 'error', message: 'an event stream broke off', job_id: jobId }));
    }
  });
}

function numberOf(jobId: string, id: string | undefined, param: string): number | undefined {
  if (id === undefined) return undefined;
  const number = eventNumber(jobId, id);
  if (number !== undefined) return number;
  const example = eventId(jobId, 1);
  throw new AppError('invalid_request', `${param} must be an id of this job's events, such as ${example}.`, {
    param,
  });
}
