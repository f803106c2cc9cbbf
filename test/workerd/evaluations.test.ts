import { env } from 'cloudflare:workers';
import { eq } from 'drizzle-orm';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { everyMinute } from '../../edge/cron.ts';
import { objects, taskParts, tasks } from '../../edge/db/schema.ts';
import { MAX_UNFINISHED_EVALUATIONS, type StoredEvaluationResult } from '../../shared/api/evaluations.ts';
import type { TaskLease } from '../../shared/api/tasks.ts';
import { EXAMPLES, makeReady } from './support/adapters.ts';
import { type Client, callAsNode, db, makeTenant, problemOf } from './support/api.ts';
import { TestNode } from './support/nodes.ts';

let client: Client;
let node: TestNode;
let file: string;

beforeAll(async () => {
  node = await new TestNode().register();
});

beforeEach(async () => {
  // What earlier tests left would be leased first.
  await db.delete(tasks);
  client = await makeTenant();
  await makeReady(client, node, 'spam');
  const form = new FormData();
  form.set('purpose', 'fine-tune');
  form.set('file', new File([EXAMPLES.map((row) => `${JSON.stringify(row)}\n`).join('')], 'rows.jsonl'));
  file = (await client.call('/v1/files', { body: form })).body.id;
});

const create = (json: object = { model: 'spam', file }) => client.call('/v1/evaluations', { json });
const read = async (id: string) => (await client.call(`/v1/evaluations/${id}`)).body;
const held = ({ task_id, token }: TaskLease, rows_done = 0) => ({ task_id, token, rows_done });
const asHolder = ({ task_id, token }: TaskLease, path: string, body?: string, rows = 2) =>
  callAsNode(`/internal/tasks/${task_id}/${path}`, {
    headers: { 'x-lease-token': token, 'x-part-rows': String(rows) },
    ...(body !== undefined && { method: 'PUT', body }),
  });
const complete = (lease: TaskLease, rows = EXAMPLES.length) =>
  callAsNode(`/internal/tasks/${lease.task_id}/complete`, { json: { token: lease.token, rows } });
const lapse = (id: string) => db.update(tasks).set({ leaseUntil: 0 }).where(eq(tasks.id, id));

const RESULT: StoredEvaluationResult = {
  results: [
    {
      model: 'spam@1',
      metrics: {
        examples: 4,
        loss: 0.1,
        ece: 0,
        accuracy: 1,
        precision: 1,
        recall: 1,
        f1: 1,
        f1_macro: 1,
        per_label: {},
        confusion_matrix: [
          [2, 0],
          [0, 2],
        ],
      },
      labels: ['ham', 'spam'],
      unknown_labels: {},
      truncated: 0,
      calibration: [],
      mistakes: [],
    },
  ],
  comparisons: [],
};

describe('an evaluation', () => {
  it('is queued for the version that its model means now, done by a node, kept, listed and deleted', async () => {
    const { status, body, headers } = await create();
    expect(status).toBe(202);
    expect(headers.get('location')).toBe(`/v1/evaluations/${body.id}`);
    expect(body).toMatchObject({ object: 'evaluation', status: 'queued', models: ['spam@1'], file });
    const lease = (await node.leaseTask())!;
    expect(lease).toMatchObject({ task_id: body.id, kind: 'evaluation', tenant: client.tenant, parts: 0 });
    expect(lease.models).toEqual([{ ref: 'spam@1', bundle: expect.any(String) }]);
    expect((await asHolder(lease, 'file')).body).toContain('cheap pills');
    const { tasks: states } = await node.beat([], false, { tasks: [held(lease, 3)] });
    expect(states).toEqual([{ task_id: body.id, state: 'ok' }]);
    expect(await read(body.id)).toMatchObject({
      status: 'running',
      rows: { total: 4, done: 3 },
      results: null,
    });
    expect((await asHolder(lease, 'result', JSON.stringify(RESULT))).status).toBe(204);
    expect((await complete(lease)).status).toBe(200);
    expect((await complete(lease)).status).toBe(200);
    expect(await read(body.id)).toMatchObject({
      status: 'succeeded',
      results: RESULT.results,
      comparisons: [],
    });
    const { data } = (await client.call('/v1/evaluations')).body;
    expect(data).toEqual([expect.objectContaining({ id: body.id, rows: { total: 4, done: 4 } })]);
    expect(data[0]).not.toHaveProperty('results');
    const gone = await client.call(`/v1/evaluations/${body.id}`, { method: 'DELETE' });
    expect(gone.body).toEqual({ id: body.id, object: 'evaluation', deleted: true });
    expect((await client.call(`/v1/evaluations/${body.id}`)).status).toBe(404);
    expect((await env.BUCKET.list({ prefix: `tasks/${body.id}/` })).objects).toEqual([]);
  });

  it('is resumed by another node after the last part of one that was lost, which can add nothing more', async () => {
    const { id } = (await create()).body;
    const lost = (await node.leaseTask())!;
    expect((await asHolder(lost, 'parts/0', 'one\ntwo\n')).status).toBe(204);
    // Its answer was lost, so it comes again.
    expect((await asHolder(lost, 'parts/0', 'one\ntwo\n')).status).toBe(204);
    await lapse(id);
    const other = await new TestNode(node.baseModel).register();
    const next = (await other.leaseTask())!;
    expect(next).toMatchObject({ task_id: id, attempt: 2, parts: 1, part_rows: 2 });
    expect((await asHolder(next, 'parts/0')).body).toBe('one\ntwo\n');
    for (const refused of [
      await asHolder(lost, 'parts/1', 'three\n', 1),
      await asHolder(next, 'parts/2', 'three\n', 1),
      await complete(lost),
    ]) {
      expect(problemOf(refused)).toMatchObject({ status: 409, code: 'lease_lost' });
    }
    const { tasks: states } = await node.beat([], false, { tasks: [held(lost)] });
    expect(states).toEqual([{ task_id: id, state: 'lost' }]);
    expect((await asHolder(next, 'parts/1', 'three\n', 1)).status).toBe(204);
  });

  it('fails when its attempts are used up, and in the words of a node that cannot go on', async () => {
    const { id } = (await create()).body;
    for (let attempt = 0; attempt < 3; attempt++) {
      await node.leaseTask();
      await lapse(id);
    }
    await everyMinute(env);
    expect(await read(id)).toMatchObject({ status: 'failed', error: { code: 'lease_lapsed' } });
    const other = (await create()).body.id;
    const { token } = (await node.leaseTask())!;
    const error = { code: 'adapter_not_found', message: 'there is no such bundle' };
    const json = { token, error, retryable: false };
    expect((await callAsNode(`/internal/tasks/${other}/fail`, { json })).body.status).toBe('failed');
    expect((await callAsNode(`/internal/tasks/${other}/fail`, { json })).body.status).toBe('failed');
    expect(await read(other)).toMatchObject({ status: 'failed', error });
  });

  it('that a node hands back loses no attempt', async () => {
    const { id } = (await create()).body;
    for (let attempt = 1; attempt <= 5; attempt++) {
      const lease = (await node.leaseTask())!;
      expect(lease.attempt).toBe(attempt);
      const json = { token: lease.token, error: { code: 'shutting_down', message: 'm' }, retryable: true };
      expect((await callAsNode(`/internal/tasks/${id}/fail`, { json })).body.status).toBe('queued');
    }
  });

  it('that is cancelled or deleted stops, and its parts go', async () => {
    for (const [method, path, state] of [
      ['POST', '/cancel', 'cancelled'],
      ['DELETE', '', 'lost'],
    ] as const) {
      const { id } = (await create()).body;
      const lease = (await node.leaseTask())!;
      await asHolder(lease, 'parts/0', 'one\ntwo\n');
      const [part] = await db.select().from(taskParts).where(eq(taskParts.taskId, id));
      const { key } = part!;
      expect((await client.call(`/v1/evaluations/${id}${path}`, { method })).status).toBe(200);
      const { tasks: states } = await node.beat([], false, { tasks: [held(lease)] });
      expect(states).toEqual([{ task_id: id, state }]);
      await everyMinute(env);
      expect(await db.select().from(objects).where(eq(objects.key, key))).toEqual([]);
      expect(await env.BUCKET.head(key)).toBeNull();
      if (state === 'cancelled') {
        const again = await client.call(`/v1/evaluations/${id}/cancel`, { method: 'POST' });
        expect(problemOf(again)).toMatchObject({ status: 409, code: 'job_finished' });
      }
    }
  });

  it('keeps its file', async () => {
    const { id } = (await create()).body;
    const remove = () => client.call(`/v1/files/${file}`, { method: 'DELETE' });
    expect(problemOf(await remove())).toMatchObject({ status: 409, code: 'file_in_use' });
    await client.call(`/v1/evaluations/${id}/cancel`, { method: 'POST' });
    expect((await remove()).status).toBe(200);
  });

  it('waits for a node that has the base models of all its models', async () => {
    const other = await new TestNode().register();
    await makeReady(client, other, 'topic');
    const { id } = (await create({ models: ['spam', 'topic'], file })).body;
    expect(await node.leaseTask()).toBeNull();
    expect(await other.leaseTask()).toBeNull();
    const both = await new TestNode(node.baseModel, other.baseModel).register();
    expect((await both.leaseTask())?.task_id).toBe(id);
  });

  it('waits its turn behind tenants of whom less is under way', async () => {
    const first = (await create()).body.id;
    await create();
    const mine = client;
    client = await makeTenant();
    await makeReady(client, node, 'spam');
    const form = new FormData();
    form.set('purpose', 'fine-tune');
    form.set('file', new File([EXAMPLES.map((row) => `${JSON.stringify(row)}\n`).join('')], 'rows.jsonl'));
    const theirs = (await client.call('/v1/files', { body: form })).body.id;
    const other = (await create({ model: 'spam', file: theirs })).body.id;
    const lease = (await node.leaseTask())!;
    expect(lease.task_id).toBe(first);
    expect((await node.leaseTask([held(lease)]))?.task_id).toBe(other);
    client = mine;
  });
});

describe('a request for an evaluation', () => {
  it.each<[string, () => object, object]>([
    [
      'both model and models',
      () => ({ model: 'spam', models: ['spam'], file }),
      { status: 422, param: 'model' },
    ],
    ['neither', () => ({ file }), { status: 422, param: 'model' }],
    ['an unknown model', () => ({ models: ['spam', 'none'], file }), { status: 404, param: 'models.1' }],
    ['one model twice', () => ({ models: ['spam', 'spam@1'], file }), { status: 422, param: 'models.1' }],
    ['an unknown file', () => ({ model: 'spam', file: 'file_none' }), { status: 404, param: 'file' }],
    [
      'too many models',
      () => ({ models: ['a', 'b', 'c', 'd', 'e'], file }),
      { status: 422, param: 'models' },
    ],
  ])('with %s is refused at its field', async (_, body, problem) => {
    expect(problemOf(await create(body()))).toMatchObject(problem);
  });

  it('is refused where as many wait as may', async () => {
    for (let i = 0; i < MAX_UNFINISHED_EVALUATIONS; i++) expect((await create()).status).toBe(202);
    const refused = await create();
    expect(problemOf(refused)).toMatchObject({ status: 429, code: 'queue_full' });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it('of one tenant is seen by no other', async () => {
    const { id } = (await create()).body;
    const stranger = await makeTenant();
    for (const attempt of [
      await stranger.call(`/v1/evaluations/${id}`),
      await stranger.call(`/v1/evaluations/${id}`, { method: 'DELETE' }),
      await stranger.call(`/v1/evaluations/${id}/cancel`, { method: 'POST' }),
      await stranger.call(`/v1/evaluations?after=${id}`),
      await stranger.call('/v1/evaluations', { json: { model: 'spam', file } }),
    ]) {
      expect(attempt.status).toBe(404);
    }
    expect((await stranger.call('/v1/evaluations')).body.data).toEqual([]);
    expect((await read(id)).status).toBe('queued');
  });
});
