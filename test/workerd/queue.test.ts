import { createExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { eq } from 'drizzle-orm';
import { beforeEach, describe, expect, it } from 'vitest';
import { app } from '../../edge/app.ts';
import { unixNow } from '../../edge/clock.ts';
import { jobs } from '../../edge/db/schema.ts';
import type { JobLease } from '../../shared/api/nodes.ts';
import { EXAMPLES, submit } from './support/adapters.ts';
import { type Answer, type Client, callAsNode, db, makeTenant, problemOf } from './support/api.ts';
import { finish, TestNode } from './support/nodes.ts';

let node: TestNode;
let busy: Client;
let other: Client;

/** A base model and tenants of its own keep each test's queue apart. */
beforeEach(async () => {
  node = await new TestNode().register();
  [busy, other] = [await makeTenant(), await makeTenant()];
});

async function queue(client: Client, name: string, count = 1, extra: object = {}): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    const id = await submit(client, name, { base_model: node.baseModel, ...extra });
    ids.push((await client.call(`/v1/adapters/${id}`)).body.job_id);
  }
  return ids;
}

const jobOf = async (client: Client, id: string) => (await client.call(`/v1/fine_tuning/jobs/${id}`)).body;

/** Brings a job to its end as if it had trained for `seconds` up to `ago` seconds before now. */
async function trained(lease: JobLease, seconds: number, ago = 0): Promise<void> {
  await finish(lease);
  const finishedAt = unixNow() - ago;
  await db
    .update(jobs)
    .set({ leasedAt: finishedAt - seconds, finishedAt })
    .where(eq(jobs.id, lease.job_id));
}

const anotherNode = () => new TestNode(node.baseModel).register();

describe('whose job is next', () => {
  it('is another’s behind a tenant that has queued many, on one node', async () => {
    const many = await queue(busy, 'many', 3);
    const [single] = await queue(other, 'single');
    const first = (await node.lease())!;
    expect(first.job_id).toBe(many[0]);
    await trained(first, 5);
    expect((await node.lease())!.job_id).toBe(single);
  });

  it('is another’s while the first runs, where several nodes are free at once', async () => {
    const many = await queue(busy, 'many', 3);
    const [single] = await queue(other, 'single');
    const nodes = [node, await anotherNode(), await anotherNode()];
    const leases = [];
    for (const each of nodes) leases.push((await each.lease())!.job_id);
    expect(leases).toEqual([many[0], single, many[1]]);
  });

  it('is that of the tenant which was trained least in the last hour, not of the one with fewer jobs', async () => {
    const [long] = await queue(busy, 'long');
    await trained((await node.lease())!, 900);
    const tiny = await queue(other, 'tiny', 3);
    const [next] = await queue(busy, 'next');
    for (const id of tiny) {
      const lease = (await node.lease())!;
      expect(lease.job_id).toBe(id);
      await trained(lease, 10);
    }
    expect((await node.lease())!.job_id).toBe(next);
    expect(long).toBeDefined();
  });

  it('forgets what was trained more than an hour ago', async () => {
    await queue(busy, 'long');
    await trained((await node.lease())!, 7200, 3700);
    await queue(other, 'recent');
    await trained((await node.lease())!, 10);
    await queue(other, 'waiting');
    const [next] = await queue(busy, 'next');
    expect((await node.lease())!.job_id).toBe(next);
  });

  it('is in its turn of any tenant, whoever else keeps queueing: nobody starves', async () => {
    const crowd = [busy, other, await makeTenant()];
    const waiting = await makeTenant();
    for (const client of crowd) await queue(client, 'flood', 2);
    const mine = await queue(waiting, 'patient', 2);
    const order: string[] = [];
    for (let turn = 0; turn < 8; turn++) {
      const lease = (await node.lease())!;
      order.push(lease.job_id);
      await trained(lease, 20);
      await queue(crowd[turn % 3]!, 'flood');
    }
    expect(mine.map((id) => order.indexOf(id))).toEqual([3, 7]);
  });

  it('does not count jobs that only other nodes can train', async () => {
    const elsewhere = await new TestNode().register();
    await submit(busy, 'stuck', { base_model: elsewhere.baseModel });
    const [mine] = await queue(busy, 'mine');
    await queue(other, 'later');
    expect((await node.lease())!.job_id).toBe(mine);
  });
});

describe('a queued job', () => {
  it('says its place in the fair order and when it may start; no other job does', async () => {
    const many = await queue(busy, 'many', 3);
    const [single] = await queue(other, 'single');
    const places = await Promise.all([...many.map((id) => jobOf(busy, id)), jobOf(other, single!)]);
    expect(places.map((job) => job.position)).toEqual([1, 3, 4, 2]);
    const starts = places.map((job) => job.estimated_start);
    expect(starts).toEqual([...starts].map(Number));
    expect(starts[0]).toBeGreaterThanOrEqual(places[0].created_at);
    expect(starts[0]).toBeLessThan(starts[3]);
    expect(starts[3]).toBeLessThan(starts[1]);
    const listed = (await busy.call('/v1/fine_tuning/jobs')).body.data;
    expect(listed.map((job: { position: number }) => job.position)).toEqual([4, 3, 1]);
    await node.lease();
    expect(await jobOf(busy, many[0]!)).toMatchObject({ position: null, estimated_start: null });
    expect(await jobOf(other, single!)).toMatchObject({ position: 1 });
    const cancelled = await busy.call(`/v1/fine_tuning/jobs/${many[1]}/cancel`, { method: 'POST' });
    expect(cancelled.body).toMatchObject({ position: null, estimated_start: null });
    expect(await jobOf(busy, many[2]!)).toMatchObject({ position: 2 });
  });

  it('is expected when the running one says it ends', async () => {
    await queue(busy, 'running');
    const { job_id, token } = (await node.lease())!;
    const [next] = await queue(busy, 'next');
    const progress = { step: 1, steps: 9, epoch: 0, loss: 1, tokens_per_second: 1, eta_seconds: 500 };
    await node.beat([{ job_id, token, progress }]);
    const now = unixNow();
    const { estimated_start } = await jobOf(busy, next!);
    expect(estimated_start).toBeGreaterThanOrEqual(now + 500);
    expect(estimated_start).toBeLessThanOrEqual(unixNow() + 500);
    await anotherNode();
    expect((await jobOf(busy, next!)).estimated_start).toBeLessThanOrEqual(unixNow());
  });

  it('counts as long as its tenant’s jobs took of late', async () => {
    await queue(busy, 'slow');
    await trained((await node.lease())!, 1000, 3700);
    const [first, second] = await queue(busy, 'next', 2);
    const [a, b] = [await jobOf(busy, first!), await jobOf(busy, second!)];
    expect(b.estimated_start - a.estimated_start).toBeGreaterThanOrEqual(1000);
    expect(b.estimated_start - a.estimated_start).toBeLessThan(1020);
  });

  it('has a place and an estimate while no node lives that could train it', async () => {
    const [id] = await queue(busy, 'orphan');
    await callAsNode(`/internal/nodes/${node.id}/leave`, { method: 'POST' });
    expect(await jobOf(busy, id!)).toMatchObject({ position: 1, estimated_start: expect.any(Number) });
  });
});

describe('a full queue', () => {
  async function submitWith(client: Client, bound: unknown, body: object = {}) {
    const request = new Request('https://edge.test/v1/adapters', {
      method: 'POST',
      headers: { authorization: `Bearer ${client.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'full', examples: EXAMPLES, base_model: node.baseModel, ...body }),
    });
    const response = await app.fetch(
      request,
      { ...env, MAX_QUEUED_JOBS: bound as number },
      createExecutionContext(),
    );
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Answer['body'],
    };
  }

  it('refuses a tenant’s next job by 429 and says when there will be room; others are let in', async () => {
    await submitWith(busy, 2);
    await submitWith(busy, 2);
    const refused = await submitWith(busy, 2);
    expect(problemOf(refused)).toEqual({ status: 429, code: 'queue_full', param: null });
    expect(refused.body.detail).toContain('2');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await submitWith(other, 2)).status).toBe(202);
    await node.lease();
    expect((await submitWith(busy, 2)).body.version).toBe(3);
  });

  it('lets no two requests at once take the last place', async () => {
    const answers = await Promise.all(Array.from({ length: 5 }, () => submitWith(busy, 2)));
    expect(answers.map((answer) => answer.status).sort()).toEqual([202, 202, 429, 429, 429]);
    expect((await busy.call('/v1/fine_tuning/jobs')).body.data).toHaveLength(2);
    const { data } = (await busy.call('/v1/adapters')).body;
    expect(data.map((adapter: { version: number }) => adapter.version)).toEqual([2, 1]);
  });

  it('is as long as wrangler.toml says', async () => {
    expect(env.MAX_QUEUED_JOBS).toBe(100);
    expect((await submitWith(busy, '1')).status).toBe(202);
    expect((await submitWith(busy, '1')).status).toBe(429);
  });
});
