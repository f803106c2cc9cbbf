import { env, exports } from 'cloudflare:workers';
import { eq } from 'drizzle-orm';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { everyMinute } from '../../edge/cron.ts';
import { jobs, objects } from '../../edge/db/schema.ts';
import { sha256Of } from '../../edge/hashing.ts';
import { type JobLease, MAX_CHECKPOINT_BYTES } from '../../shared/api/nodes.ts';
import { submit } from './support/adapters.ts';
import { type Client, callAsNode, db, makeTenant, NODE_SECRET, problemOf } from './support/api.ts';
import { completion, TestNode, uploadBundle } from './support/nodes.ts';

let client: Client;
let node: TestNode;

beforeAll(async () => {
  client = await makeTenant();
});

/** A base model of its own keeps each test's queue apart. */
beforeEach(async () => {
  node = await new TestNode().register();
});

async function leaseOf(name: string): Promise<JobLease> {
  await submit(client, name, { base_model: node.baseModel });
  return (await node.lease())!;
}

const pathOf = ({ job_id }: JobLease) => `/internal/jobs/${job_id}/checkpoint`;
const put = (lease: JobLease, body: BodyInit, headers: Record<string, string> = {}) =>
  callAsNode(pathOf(lease), { method: 'PUT', body, headers: { 'x-lease-token': lease.token, ...headers } });

/** The bytes that a lease's holder gets. */
async function read(lease: JobLease): Promise<string> {
  const headers = { authorization: `Bearer ${NODE_SECRET}`, 'x-lease-token': lease.token };
  const response = await exports.default.fetch(new Request(`https://edge.test${pathOf(lease)}`, { headers }));
  expect(response.status).toBe(200);
  return new TextDecoder().decode(await response.arrayBuffer());
}

/** Ends an attempt; the job goes back to the queue where that may be. */
const fail = ({ job_id, token }: JobLease, code = 'shutting_down', retryable = true) =>
  callAsNode(`/internal/jobs/${job_id}/fail`, {
    json: { token, retryable, error: { code, message: 'it ended' }, events: [] },
  });

/** Keys of what the store has of a job's checkpoints. */
async function keysOf({ job_id }: JobLease): Promise<string[]> {
  const listed = await env.BUCKET.list({ prefix: `checkpoints/${job_id}/` });
  return listed.objects.map(({ key }) => key);
}

describe('a checkpoint', () => {
  it('is given to the next attempt, whichever node takes it', async () => {
    const first = await leaseOf('passed-on');
    expect(first.checkpoint).toBeNull();
    const sha256 = await sha256Of('the state');
    const { status, body } = await put(first, 'the state');
    expect([status, body]).toEqual([200, { attempt: 1, sha256 }]);
    await fail(first);
    const other = await new TestNode(node.baseModel).register();
    const second = (await other.lease())!;
    expect(second).toMatchObject({ job_id: first.job_id, attempt: 2, checkpoint: { attempt: 1, sha256 } });
    expect(await read(second)).toBe('the state');
  });

  it('lies under its job and attempt, and replaces the one before', async () => {
    const first = await leaseOf('replaced');
    for (const state of ['one', 'two', 'three']) expect((await put(first, state)).status).toBe(200);
    expect(await read(first)).toBe('three');
    const [key, ...others] = await keysOf(first);
    expect(key).toMatch(new RegExp(`^checkpoints/${first.job_id}/1/[0-9a-f]{16}$`));
    expect(others).toEqual([]);
    await fail(first);
    const second = (await node.lease())!;
    await put(second, 'four');
    expect(await keysOf(second)).toEqual([expect.stringMatching(`^checkpoints/${first.job_id}/2/`)]);
    await fail(second);
    expect((await node.lease())!.checkpoint).toEqual({ attempt: 2, sha256: await sha256Of('four') });
  });

  it('survives the sweep while its job is under way, and while it waits for a node', async () => {
    const lease = await leaseOf('kept');
    await put(lease, 'the state');
    await everyMinute(env);
    expect(await keysOf(lease)).toHaveLength(1);
    await fail(lease);
    await everyMinute(env);
    expect(await read((await node.lease())!)).toBe('the state');
  });

  it('of a stale node is refused, and overwrites nothing', async () => {
    const stale = await leaseOf('stale');
    await put(stale, 'old');
    await fail(stale);
    const current = (await node.lease())!;
    await put(current, 'new');
    expect(problemOf(await put(stale, 'too late'))).toMatchObject({ status: 409, code: 'lease_lost' });
    const asStale = { headers: { 'x-lease-token': stale.token } };
    expect(problemOf(await callAsNode(pathOf(stale), asStale))).toMatchObject({ code: 'lease_lost' });
    expect(await read(current)).toBe('new');
    expect(await keysOf(current)).toHaveLength(1);
  });

  it('whose lease is lost while it is sent is not kept', async () => {
    const lease = await leaseOf('overtaken');
    await put(lease, 'kept');
    const { readable, writable } = new TransformStream<Uint8Array>();
    const sent = put(lease, readable);
    const writer = writable.getWriter();
    await writer.write(new TextEncoder().encode('half of it, '));
    await fail(lease);
    await writer.write(new TextEncoder().encode('and the rest'));
    await writer.close();
    expect(problemOf(await sent)).toMatchObject({ code: 'lease_lost' });
    const next = (await node.lease())!;
    expect(await read(next)).toBe('kept');
    expect(await keysOf(next)).toHaveLength(1);
  });

  it('is for nodes alone, and for a job that has one', async () => {
    const lease = await leaseOf('guarded');
    const headers = { 'x-lease-token': lease.token };
    expect((await client.call(pathOf(lease), { headers })).status).toBe(401);
    expect((await client.call(pathOf(lease), { method: 'PUT', body: 'x', headers })).status).toBe(401);
    expect(problemOf(await callAsNode(pathOf(lease)))).toMatchObject({ status: 422, param: 'x-lease-token' });
    expect(problemOf(await callAsNode(pathOf(lease), { headers }))).toMatchObject({ code: 'file_not_found' });
  });

  it('has a bound', async () => {
    const lease = await leaseOf('large');
    const headers = { 'content-length': String(MAX_CHECKPOINT_BYTES + 1) };
    expect(problemOf(await put(lease, 'x', headers))).toMatchObject({
      status: 413,
      code: 'payload_too_large',
    });
    expect(await keysOf(lease)).toEqual([]);
  });
});

describe('the end of a job', () => {
  const cancel = ({ job_id }: JobLease) =>
    client.call(`/v1/fine_tuning/jobs/${job_id}/cancel`, { method: 'POST' });

  it.each<[string, (lease: JobLease) => Promise<unknown>]>([
    [
      'completed',
      async (lease) => {
        const json = completion(lease, await uploadBundle(lease));
        expect((await callAsNode(`/internal/jobs/${lease.job_id}/complete`, { json })).status).toBe(200);
      },
    ],
    ['failed for good', (lease) => fail(lease, 'training_failed', false)],
    ['cancelled', cancel],
    [
      'cancelled while it waits',
      async (lease) => {
        await fail(lease);
        await cancel(lease);
      },
    ],
    ['of a deleted adapter', (lease) => client.call(`/v1/adapters/${lease.adapter}`, { method: 'DELETE' })],
    [
      'lost in its last attempt',
      async ({ job_id }) => {
        await db.update(jobs).set({ failures: 2, leaseUntil: 1 }).where(eq(jobs.id, job_id));
        await everyMinute(env);
      },
    ],
  ])('%s takes its checkpoint along', async (name, end) => {
    const lease = await leaseOf(name.replaceAll(' ', '-'));
    await put(lease, 'the state');
    const [key] = await keysOf(lease);
    expect(key).toBeDefined();
    await end(lease);
    await everyMinute(env);
    expect(await keysOf(lease)).toEqual([]);
    expect(await db.select().from(objects).where(eq(objects.key, key!))).toEqual([]);
  });
});
