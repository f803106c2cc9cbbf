import { exports } from 'cloudflare:workers';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { JobEvent } from '../../shared/api/jobs.ts';
import type { JobLease } from '../../shared/api/nodes.ts';
import { submit } from './support/adapters.ts';
import { type Client, makeTenant, problemOf } from './support/api.ts';
import { finish, TestNode } from './support/nodes.ts';

// A stream polls each second, and a busy machine is slower.
vi.setConfig({ testTimeout: 30_000 });

let client: Client;

beforeAll(async () => {
  client = await makeTenant();
});

/** Each job has a node and a base model of its own, so that no test leases another's. */
async function lease(name: string): Promise<JobLease & { node: TestNode }> {
  const node = await new TestNode().register();
  await submit(client, name, { base_model: node.baseModel });
  return { ...(await node.lease())!, node };
}

const eventsPath = (jobId: string) => `/v1/fine_tuning/jobs/${jobId}/events`;

function report({ job_id, token, node }: JobLease & { node: TestNode }, ...messages: string[]) {
  const events = messages.map((message) => ({ level: 'info', message }));
  return node.beat([{ job_id, token, progress: null, events }]);
}

/** Opens the live stream; `next` reads one event, or undefined at its end. */
async function follow(jobId: string, lastEventId?: string) {
  const headers = new Headers({ authorization: `Bearer ${client.key}`, accept: 'text/event-stream' });
  if (lastEventId !== undefined) headers.set('last-event-id', lastEventId);
  const response = await exports.default.fetch(
    new Request(`https://edge.test${eventsPath(jobId)}`, { headers }),
  );
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let buffered = '';
  const next = async (): Promise<{ id: string; event: JobEvent } | undefined> => {
    while (!buffered.includes('\n\n')) {
      const { done, value } = await reader!.read();
      if (done) return undefined;
      buffered += value;
    }
    const end = buffered.indexOf('\n\n');
    const block = buffered.slice(0, end);
    buffered = buffered.slice(end + 2);
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
    return { id: field('id')!, event: JSON.parse(field('data')!) };
  };
  return { response, next, leave: () => reader?.cancel() };
}

describe('GET /v1/fine_tuning/jobs/ID/events', () => {
  it('lists events newest first, by cursor', async () => {
    const leased = await lease('listed');
    await report(leased, 'one', 'two', 'three');
    const first = (await client.call(`${eventsPath(leased.job_id)}?limit=2`)).body;
    expect(first.data.map((event: JobEvent) => event.message)).toEqual(['three', 'two']);
    expect(first).toMatchObject({ object: 'list', has_more: true, last_id: first.data[1].id });
    expect(first.data[0]).toEqual({
      id: `ftevent_${leased.job_id.slice('ftjob_'.length)}_5`,
      object: 'fine_tuning.job.event',
      created_at: expect.any(Number),
      level: 'info',
      message: 'three',
      type: 'message',
      data: null,
    });
    const rest = (await client.call(`${eventsPath(leased.job_id)}?after=${first.last_id}`)).body;
    expect(rest.data[0].message).toBe('one');
    expect(rest.data.at(-1).message).toBe('The job is queued.');
    expect(rest.has_more).toBe(false);
  });

  it('numbers a job’s events by themselves, so that they tell nothing of other tenants’', async () => {
    const stranger = await makeTenant();
    const mine = await lease('counted');
    await submit(stranger, 'between', { base_model: mine.node.baseModel });
    await report(mine, 'one', 'two');
    await submit(stranger, 'between', { base_model: mine.node.baseModel });
    await report(mine, 'three');
    const { data } = (await client.call(eventsPath(mine.job_id))).body;
    const own = mine.job_id.slice('ftjob_'.length);
    expect(data.map((event: JobEvent) => event.id)).toEqual(
      [5, 4, 3, 2, 1].map((n) => `ftevent_${own}_${n}`),
    );
  });

  it('refuses another tenant’s job, an unknown one and a cursor that is none', async () => {
    const { job_id } = await lease('private');
    const stranger = await makeTenant();
    for (const headers of [{}, { accept: 'text/event-stream' }]) {
      const foreign = await stranger.call(eventsPath(job_id), { headers });
      expect(problemOf(foreign)).toMatchObject({ status: 404, code: 'job_not_found' });
      expect((await client.call(eventsPath('ftjob_none'), { headers })).status).toBe(404);
      for (const after of ['5', 'ftevent_5', `ftevent_${'0'.repeat(24)}_1`]) {
        const bad = await client.call(`${eventsPath(job_id)}?after=${after}`, { headers });
        expect(problemOf(bad)).toMatchObject({ status: 422, code: 'invalid_request' });
      }
    }
  });

  it('streams what was, then what comes, and closes after the last event', async () => {
    const leased = await lease('live');
    const { response, next } = await follow(leased.job_id);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const first = await next();
    expect(first).toMatchObject({ event: { message: 'The job is queued.' } });
    expect(first!.id).toBe(first!.event.id);
    expect((await next())?.event.message).toBe('A node has taken the job.');
    await report(leased, 'epoch 1');
    expect((await next())?.event.message).toBe('epoch 1');
    await finish(leased);
    expect((await next())?.event.message).toBe('New fine-tuned model created: live@1');
    expect((await next())?.event.message).toBe('The job has successfully completed');
    expect(await next()).toBeUndefined();
  });

  it('goes on after Last-Event-ID, and is not to be asked again after the last event', {
    timeout: 30_000,
  }, async () => {
    const leased = await lease('resumed');
    const before = await follow(leased.job_id);
    const seen = await before.next();
    await before.leave();
    await finish(leased);
    const after = await follow(leased.job_id, seen!.id);
    expect((await after.next())?.event.message).toBe('A node has taken the job.');
    expect((await after.next())?.event.message).toBe('New fine-tuned model created: resumed@1');
    const last = await after.next();
    expect(last?.event.message).toBe('The job has successfully completed');
    expect(await after.next()).toBeUndefined();
    expect((await follow(leased.job_id, last!.id)).response.status).toBe(204);
  });
});
