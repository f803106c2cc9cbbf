import { eq } from 'drizzle-orm';
import { beforeAll, describe, expect, it } from 'vitest';
import { nodes } from '../../edge/db/schema.ts';
import type { NodeLoad } from '../../shared/api/nodes.ts';
import { submit } from './support/adapters.ts';
import { type Client, db, makeTenant } from './support/api.ts';
import { TestNode } from './support/nodes.ts';

const LOAD: NodeLoad = {
  requests_per_second: 2.5,
  texts_per_second: 10,
  p50_ms: 4,
  p99_ms: null,
  batch_fill: 0.5,
  batch_adapters: 3,
  queue: 7,
  resident: { slot: 2, memory: 3, disk: 4 },
};

let [one, other, operator]: Client[] = [];
let node: TestNode;
beforeAll(async () => {
  [one, other, operator] = [await makeTenant(), await makeTenant(), await makeTenant('operator')];
  node = await new TestNode().register(['fp32', 'int8']);
  await submit(one!, 'running', { base_model: node.baseModel });
  await node.beat([], true);
  await submit(one!, 'waiting', { base_model: node.baseModel });
  await submit(other!, 'others', { base_model: node.baseModel });
});

/** A heartbeat after so long a silence that it is written down. */
async function beatLater(load?: NodeLoad): Promise<void> {
  const before = Math.floor(Date.now() / 1000) - 6;
  await db.update(nodes).set({ lastSeen: before }).where(eq(nodes.id, node.id));
  await node.beat([], false, { load });
}

const namesOf = (jobs: { adapter: string; status: string }[]) =>
  jobs.map(({ adapter, status }) => [adapter, status]);

describe('the fleet', () => {
  it('shows an operator every node with what it said last, and the whole queue', async () => {
    await beatLater(LOAD);
    const { status, body } = await operator!.call('/v1/fleet');
    expect(status).toBe(200);
    expect(body.role).toBe('operator');
    expect(body.nodes).toMatchObject([
      {
        id: node.id,
        device: 'cpu',
        base_models: [{ id: node.baseModel, precisions: ['fp32', 'int8'] }],
        load: LOAD,
      },
    ]);
    expect(JSON.stringify(body)).not.toContain(node.url);
    expect(body.queue).toEqual({ waiting: 2, running: 1 });
    expect(namesOf(body.jobs)).toEqual([
      ['running@1', 'running'],
      ['waiting@1', 'queued'],
      ['others@1', 'queued'],
    ]);
    expect(body.jobs[0]).toMatchObject({ tenant: one!.tenant, node: node.id });
  });

  it('shows a tenant its own jobs, and nothing of nodes or of others', async () => {
    const { body } = await one!.call('/v1/fleet');
    expect(body).toMatchObject({ role: null, nodes: null, queue: { waiting: 1, running: 1 } });
    expect(namesOf(body.jobs)).toEqual([
      ['running@1', 'running'],
      ['waiting@1', 'queued'],
    ]);
    for (const job of body.jobs) expect(job).toMatchObject({ tenant: null, node: null });
    expect(namesOf((await other!.call('/v1/fleet')).body.jobs)).toEqual([['others@1', 'queued']]);
  });

  it('forgets a node that is silent, and keeps what one that says no load said before', async () => {
    await beatLater();
    expect((await operator!.call('/v1/fleet')).body.nodes).toMatchObject([{ load: LOAD }]);
    await db.update(nodes).set({ lastSeen: 0 }).where(eq(nodes.id, node.id));
    expect((await operator!.call('/v1/fleet')).body.nodes).toEqual([]);
  });
});
