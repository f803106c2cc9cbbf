import { beforeAll, describe, expect, it } from 'vitest';
import { EXAMPLES, makeReady, submit } from './support/adapters.ts';
import { type Answer, type Client, call, makeTenant, NODE_SECRET, problemOf } from './support/api.ts';
import { TestNode } from './support/nodes.ts';

const KINDS = ['files', 'adapters', 'fine_tuning/jobs'];
const OWN = [...KINDS, 'adapters/mine/aliases'];
const BUNDLE = 'a'.repeat(64);

let owner: Client;
let stranger: Client;
let file: string;
let job: string;

beforeAll(async () => {
  [owner, stranger] = [await makeTenant(), await makeTenant()];
  const node = await new TestNode().register();
  await makeReady(owner, node, 'mine');
  await owner.call('/v1/adapters/mine/aliases/prod', { method: 'PUT', json: { version: 1 } });
  await submit(owner, 'busy', { base_model: node.baseModel });
  job = (await owner.call('/v1/adapters/busy')).body.job_id;
  const form = new FormData();
  form.set('purpose', 'fine-tune');
  form.set(
    'file',
    new File(
      EXAMPLES.map((row) => `${JSON.stringify(row)}\n`),
      'rows.jsonl',
    ),
  );
  file = (await owner.call('/v1/files', { body: form })).body.id;
});

/** What a tenant sees of everything that lists; when a queued job may start moves with the clock. */
const everything = async (client: Client) =>
  Promise.all(
    OWN.map(async (kind) => {
      const { data = [] } = (await client.call(`/v1/${kind}`)).body;
      return data.map(({ estimated_start: _, ...item }: Record<string, unknown>) => item);
    }),
  );

describe('a tenant', () => {
  it.each<[string, () => Promise<Answer>]>([
    ['reading a file', () => stranger.call(`/v1/files/${file}`)],
    ['reading the report of a file', () => stranger.call(`/v1/files/${file}/report`)],
    ['reading the bad rows of a file', () => stranger.call(`/v1/files/${file}/errors`)],
    ['deleting a file', () => stranger.call(`/v1/files/${file}`, { method: 'DELETE' })],
    ['paging after a file', () => stranger.call(`/v1/files?after=${file}`)],
    ['training on a file', () => stranger.call('/v1/adapters', { json: { name: 'x', training_file: file } })],
    ['reading an adapter', () => stranger.call('/v1/adapters/mine')],
    ['deleting an adapter', () => stranger.call('/v1/adapters/mine', { method: 'DELETE' })],
    ['deleting a version', () => stranger.call('/v1/adapters/mine@1', { method: 'DELETE' })],
    ['paging after an adapter', () => stranger.call('/v1/adapters?after=mine@1')],
    ['listing aliases', () => stranger.call('/v1/adapters/mine/aliases')],
    ['reading an alias', () => stranger.call('/v1/adapters/mine/aliases/prod')],
    [
      'pointing an alias',
      () => stranger.call('/v1/adapters/mine/aliases/prod', { method: 'PUT', json: { version: 1 } }),
    ],
    ['deleting an alias', () => stranger.call('/v1/adapters/mine/aliases/prod', { method: 'DELETE' })],
    [
      'rolling back an alias',
      () => stranger.call('/v1/adapters/mine/aliases/prod/rollback', { method: 'POST' }),
    ],
    ['reading the history of an alias', () => stranger.call('/v1/adapters/mine/aliases/prod/history')],
    [
      'classifying by an alias',
      () => stranger.call('/v1/classify', { json: { model: 'mine@prod', input: 'x' } }),
    ],
    ['downloading weights', () => stranger.call('/v1/adapters/mine/files/adapter_model.safetensors')],
    ['exporting an adapter', () => stranger.call('/v1/adapters/mine/export', { json: { format: 'merged' } })],
    ['classifying', () => stranger.call('/v1/classify', { json: { model: 'mine', input: 'x' } })],
    [
      'a mixed batch',
      () => stranger.call('/v1/classify', { json: { input: [{ model: 'mine@1', text: 'x' }] } }),
    ],
    ['reading a job', () => stranger.call(`/v1/fine_tuning/jobs/${job}`)],
    ['cancelling a job', () => stranger.call(`/v1/fine_tuning/jobs/${job}/cancel`, { method: 'POST' })],
    [
      'creating a job on a file',
      () =>
        stranger.call('/v1/fine_tuning/jobs', {
          json: { model: 'default', training_file: file, suffix: 'x' },
        }),
    ],
    ['reading a model', () => stranger.call('/v1/models/mine@1')],
    ['deleting a model', () => stranger.call('/v1/models/mine@1', { method: 'DELETE' })],
    ['paging after a job', () => stranger.call(`/v1/fine_tuning/jobs?after=${job}`)],
    ['listing events', () => stranger.call(`/v1/fine_tuning/jobs/${job}/events`)],
    [
      'streaming events',
      () => stranger.call(`/v1/fine_tuning/jobs/${job}/events`, { headers: { accept: 'text/event-stream' } }),
    ],
  ])('gets 404, and changes nothing, %s of another', async (_, attempt) => {
    const before = await everything(owner);
    expect(problemOf(await attempt()).status).toBe(404);
    expect(await everything(owner)).toEqual(before);
    expect(await everything(stranger)).toEqual(OWN.map(() => []));
  });

  it('is named by its key, whatever its headers say', async () => {
    const headers = { tenant: owner.tenant, 'x-tenant': owner.tenant, 'x-weft-tenant': owner.tenant };
    for (const kind of KINDS) expect((await stranger.call(`/v1/${kind}`, { headers })).body.data).toEqual([]);
  });
});

describe('the node secret and a client key', () => {
  it.each([
    ['POST', '/internal/nodes'],
    ['POST', '/internal/nodes/node_1/heartbeat'],
    ['GET', '/internal/jobs/ftjob_1/files/training'],
    ['PUT', '/internal/jobs/ftjob_1/adapter/weft.json'],
    ['POST', '/internal/jobs/ftjob_1/complete'],
    ['POST', '/internal/jobs/ftjob_1/fail'],
    ['GET', `/internal/adapters/${BUNDLE}`],
    ['GET', `/internal/adapters/${BUNDLE}/files/weft.json`],
  ])('%s %s takes no client key', async (method, path) => {
    const body = method === 'GET' ? {} : { json: {} };
    expect((await owner.call(path, { method, ...body })).status).toBe(401);
    expect((await call(undefined, path, { method, ...body })).status).toBe(401);
  });

  it('no route of clients takes the node secret', async () => {
    for (const path of [...KINDS, 'models'])
      expect((await call(NODE_SECRET, `/v1/${path}`)).status).toBe(401);
  });
});
