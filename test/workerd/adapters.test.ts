import { env } from 'cloudflare:workers';
import { eq } from 'drizzle-orm';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { everyMinute } from '../../edge/cron.ts';
import { adapters, jobs, nodes, objects } from '../../edge/db/schema.ts';
import { isolate } from '../../edge/nodes/isolate.ts';
import { adapter as adapterSchema } from '../../shared/api/adapters.ts';
import { EXAMPLES, makeReady, submit } from './support/adapters.ts';
import { type Client, db, makeTenant, problemOf } from './support/api.ts';
import { finish, serveNodes, TestNode } from './support/nodes.ts';

let client: Client;
let node: TestNode;

async function everything() {
  return {
    jobs: await db.$count(jobs),
    adapters: await db.$count(adapters),
    objects: await db.$count(objects),
  };
}

async function post(json: unknown) {
  return client.call('/v1/adapters', { json });
}

describe('POST /v1/adapters', () => {
  beforeAll(async () => {
    client = await makeTenant();
    node = await new TestNode().register();
  });
  // A node that was heard of too long ago is not alive, however slow the machine.
  beforeEach(async () => {
    await node.beat();
  });

  it('queues a job, answers 202 with Location, and gives each name its versions', async () => {
    const answer = await post({ name: 'spam', examples: EXAMPLES, metadata: { team: 'mail' } });
    expect(answer.status).toBe(202);
    expect(answer.headers.get('location')).toBe('/v1/adapters/spam@1');
    expect(adapterSchema.parse(answer.body)).toMatchObject({
      id: 'spam@1',
      status: 'queued',
      base_model: node.baseModel,
      metrics: null,
      seed: 42,
      metadata: { team: 'mail' },
    });
    expect((await post({ name: 'spam', examples: EXAMPLES })).body.id).toBe('spam@2');
    expect((await post({ name: 'topic', examples: EXAMPLES })).body.id).toBe('topic@1');
  });

  it('queues the training of a whole model, but not of one that could not be stored', async () => {
    const small = await new TestNode().register(['fp32', 'int8'], { weights_bytes: 90_268_416 });
    const large = await new TestNode().register(['fp32'], { weights_bytes: 437_927_424 });
    const full = (base_model: string, method: object = {}) =>
      post({ name: 'whole', examples: EXAMPLES, base_model, method: { type: 'full', ...method } });
    const queued = await full(small.baseModel);
    expect(queued.status).toBe(202);
    expect(queued.body).toMatchObject({ base_precision: 'fp32', method: { type: 'full', pooling: 'auto' } });
    const refused = await full(large.baseModel);
    expect(problemOf(refused)).toEqual({ status: 422, code: 'invalid_request', param: 'method.type' });
    expect(refused.body.detail).toContain('437927424 bytes, at most 94371840 are stored');
    const rounded = await full(small.baseModel, { base_precision: 'int8' });
    expect(problemOf(rounded)).toMatchObject({ status: 422, param: 'method.base_precision' });
    expect(rounded.body.detail).toContain('in fp32 alone');
  });

  it('stores inline examples as JSONL and removes them when the job has ended', async () => {
    const id = await submit(client, 'inline');
    const { job_id } = (await client.call(`/v1/adapters/${id}`)).body;
    const stored = await env.BUCKET.get(`inline/${job_id}`);
    const rows = (await stored!.text()).trimEnd().split('\n');
    expect(rows.map((row) => JSON.parse(row))).toEqual(EXAMPLES);
    await everyMinute(env);
    expect(await env.BUCKET.head(`inline/${job_id}`)).not.toBeNull();
    await client.call(`/v1/fine_tuning/jobs/${job_id}/cancel`, { method: 'POST' });
    await everyMinute(env);
    expect(await env.BUCKET.head(`inline/${job_id}`)).toBeNull();
  });

  it('gives eight requests at once eight versions', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => submit(client, 'race')));
    expect(answers.sort()).toEqual(Array.from({ length: 8 }, (_, i) => `race@${i + 1}`));
  });

  it('never gives a version again, not even after a deletion', async () => {
    expect(await submit(client, 'again')).toBe('again@1');
    expect((await client.call('/v1/adapters/again', { method: 'DELETE' })).status).toBe(200);
    expect(await submit(client, 'again')).toBe('again@2');
  });

  it('answers a repeated Idempotency-Key as at first, and refuses it with another body', async () => {
    const headers = { 'idempotency-key': 'k1' };
    const json = { name: 'idem', examples: EXAMPLES };
    const first = await client.call('/v1/adapters', { json, headers });
    const second = await client.call('/v1/adapters', { json, headers });
    expect(first.status).toBe(202);
    expect(second.status).toBe(202);
    expect(second.body).toEqual(first.body);
    expect(second.headers.get('location')).toBe('/v1/adapters/idem@1');
    const other = await client.call('/v1/adapters', { json: { ...json, seed: 1 }, headers });
    expect(problemOf(other)).toEqual({ status: 409, code: 'idempotency_conflict', param: null });
    const stranger = await (await makeTenant()).call('/v1/adapters', { json, headers });
    expect(stranger.status).toBe(202);
  });

  it('frees the Idempotency-Key of a request that failed', async () => {
    const headers = { 'idempotency-key': 'k2' };
    const bad = await client.call('/v1/adapters', { json: { name: 'idem2', examples: [] }, headers });
    expect(bad.status).toBe(422);
    const good = await client.call('/v1/adapters', { json: { name: 'idem2', examples: EXAMPLES }, headers });
    expect(good.status).toBe(202);
  });

  it.each(['auto', { type: 'auto' }, {}, undefined])('takes method %j for the default', async (method) => {
    const { body } = await client.call('/v1/adapters', { json: { name: 'any', examples: EXAMPLES, method } });
    expect(body.method).toMatchObject({ type: 'lora', r: 'auto' });
  });

  const [spam, , ham] = EXAMPLES;
  const given = { name: 'x', examples: EXAMPLES };
  it.each([
    ['a name with a slash', { ...given, name: 'a/b' }, 422, 'invalid_request', 'name'],
    ['a name with dots to climb', { ...given, name: '..' }, 422, 'invalid_request', 'name'],
    ['no name', { examples: EXAMPLES }, 422, 'invalid_request', 'name'],
    ['neither file nor examples', { name: 'x' }, 422, 'invalid_request', 'training_file'],
    ['both', { ...given, training_file: 'file_1' }, 422, 'invalid_request', 'training_file'],
    ['an unknown field', { ...given, nmae: 'y' }, 422, 'invalid_request', 'nmae'],
    ['r of 0', { ...given, method: { type: 'lora', r: 0 } }, 422, 'invalid_request', 'method.r'],
    ['r of 10,000', { ...given, method: { type: 'lora', r: 10_000 } }, 422, 'invalid_request', 'method.r'],
    [
      'r of 10,000 in a method without a type',
      { ...given, method: { r: 1e4 } },
      422,
      'invalid_request',
      'method.r',
    ],
    ['an unknown method', { ...given, method: { type: 'magic' } }, 422, 'invalid_request', 'method.type'],
    [
      'a negative learning rate',
      { ...given, hyperparameters: { learning_rate: -1 } },
      422,
      'invalid_request',
      'hyperparameters.learning_rate',
    ],
    [
      'a learning rate of null, which is what NaN becomes',
      { ...given, hyperparameters: { learning_rate: Number.NaN } },
      422,
      'invalid_request',
      'hyperparameters.learning_rate',
    ],
    [
      'more tokens than the base model reads',
      { ...given, hyperparameters: { max_length: 512 } },
      422,
      'invalid_request',
      'hyperparameters.max_length',
    ],
    [
      'a class weight for no label',
      { ...given, hyperparameters: { class_weights: { eggs: 2 } } },
      422,
      'invalid_request',
      'hyperparameters.class_weights',
    ],
    ['one label only', { ...given, examples: [spam, spam, spam] }, 422, 'invalid_dataset', 'examples'],
    [
      'a label with one example',
      { ...given, examples: [spam, spam, ham] },
      422,
      'invalid_dataset',
      'examples',
    ],
    [
      'an empty text',
      { ...given, examples: [spam, { text: '', label: 'ham' }] },
      422,
      'invalid_request',
      'examples.1.text',
    ],
    [
      'a blank text',
      { ...given, examples: [spam, { text: ' \n', label: 'ham' }] },
      422,
      'invalid_request',
      'examples.1.text',
    ],
    [
      'a text of 10 MB',
      { ...given, examples: [spam, { text: 'x'.repeat(10e6), label: 'ham' }] },
      413,
      'payload_too_large',
      null,
    ],
    [
      'a label that JSON readers lose',
      { ...given, examples: [spam, { text: 'x', label: '__proto__' }] },
      422,
      'invalid_request',
      'examples.1.label',
    ],
    [
      '2,001 examples',
      { ...given, examples: Array.from({ length: 2001 }, () => spam) },
      422,
      'invalid_request',
      'examples',
    ],
    ['a base model no node has', { ...given, base_model: 'gpt-9' }, 404, 'model_not_found', 'base_model'],
    ['an unknown file', { name: 'x', training_file: 'file_nope' }, 404, 'file_not_found', 'training_file'],
    [
      'an unknown validation file',
      { ...given, validation_file: 'file_nope' },
      404,
      'file_not_found',
      'validation_file',
    ],
  ])('refuses %s and leaves nothing behind', async (_, json, status, code, param) => {
    const before = await everything();
    expect(problemOf(await post(json))).toEqual({ status, code, param });
    expect(await everything()).toEqual(before);
  });

  it('refuses a precision that no node serves the base model in, and leaves nothing behind', async () => {
    const { baseModel: base_model } = await new TestNode().register(['fp32']);
    const before = await everything();
    const refused = await post({ ...given, base_model, method: { base_precision: 'int8' } });
    expect(problemOf(refused)).toEqual({
      status: 422,
      code: 'invalid_request',
      param: 'method.base_precision',
    });
    expect(await everything()).toEqual(before);
  });

  it.each([
    ['malformed JSON', '{"name":', 'application/json', 400, 'malformed_json'],
    ['NaN, which JSON has not', '{"name":"x","seed":NaN}', 'application/json', 400, 'malformed_json'],
    ['invalid UTF-8', new Uint8Array([0x22, 0xff, 0xfe, 0x22]), 'application/json', 400, 'malformed_json'],
    ['another media type', 'name=x', 'text/plain', 415, 'unsupported_media_type'],
    ['more than 8 MB', ' '.repeat(8 * 1024 * 1024 + 1), 'application/json', 413, 'payload_too_large'],
  ])('refuses %s', async (_, body, type, status, code) => {
    const answer = await client.call('/v1/adapters', { body, headers: { 'content-type': type } });
    expect(problemOf(answer)).toEqual({ status, code, param: null });
  });

  it('refuses a stream beyond 8 MB that declares no length', async () => {
    const chunk = new Uint8Array(1024 * 1024).fill(0x20);
    let sent = 0;
    const body = new ReadableStream({
      pull(controller) {
        if (sent++ < 10) controller.enqueue(chunk);
        else controller.close();
      },
    });
    const answer = await client.call('/v1/adapters', {
      body,
      headers: { 'content-type': 'application/json' },
    });
    expect(problemOf(answer)).toMatchObject({ status: 413, code: 'payload_too_large' });
  });

  it('keeps texts as they are: NUL, emoji, right-to-left and Chinese', async () => {
    const texts = ['a\u0000b', '🦜🧵', 'שלום עולם', '你好，世界'];
    const examples = texts.map((text, i) => ({ text, label: i % 2 ? 'a' : 'b' }));
    const answer = await post({ name: 'scripts', examples });
    const stored = await env.BUCKET.get(`inline/${answer.body.job_id}`);
    const rows = (await stored!.text()).trimEnd().split('\n');
    expect(rows.map((row) => JSON.parse(row).text)).toEqual(texts);
  });
});

describe('reading and deleting adapters', () => {
  beforeAll(async () => {
    client = await makeTenant();
    node = await new TestNode().register();
  });
  // A node that was heard of too long ago is not alive, however slow the machine.
  beforeEach(async () => {
    await node.beat();
  });

  it('lists newest first, page by page, and by name and status', async () => {
    const lister = await makeTenant();
    for (const name of ['a', 'b', 'c', 'd', 'e']) await submit(lister, name);
    const first = (await lister.call('/v1/adapters?limit=2')).body;
    expect(first).toMatchObject({ object: 'list', has_more: true, first_id: 'e@1', last_id: 'd@1' });
    const second = (await lister.call(`/v1/adapters?limit=2&after=${first.last_id}`)).body;
    expect(second.data.map((item: { id: string }) => item.id)).toEqual(['c@1', 'b@1']);
    const third = (await lister.call(`/v1/adapters?limit=2&after=${second.last_id}`)).body;
    expect(third).toMatchObject({ has_more: false, first_id: 'a@1', last_id: 'a@1' });
    expect((await lister.call('/v1/adapters?name=c')).body.data).toHaveLength(1);
    expect((await lister.call('/v1/adapters?status=queued')).body.data).toHaveLength(5);
    expect((await lister.call('/v1/adapters?status=ready')).body).toMatchObject({ data: [], first_id: null });
    for (const query of ['limit=0', 'limit=x', 'status=done']) {
      expect((await lister.call(`/v1/adapters?${query}`)).status).toBe(422);
    }
    expect(problemOf(await lister.call('/v1/adapters?after=zz@9'))).toMatchObject({
      status: 404,
      param: 'after',
    });
  });

  it('means by a bare name its highest ready version, else the highest', async () => {
    const own = await makeTenant();
    const other = await new TestNode().register();
    await makeReady(own, other, 'ver');
    await submit(own, 'ver', { base_model: other.baseModel });
    expect((await own.call('/v1/adapters/ver')).body).toMatchObject({ id: 'ver@1', status: 'ready' });
    expect((await own.call('/v1/adapters/ver@2')).body.status).toBe('queued');
    await submit(own, 'fresh');
    await submit(own, 'fresh');
    expect((await own.call('/v1/adapters/fresh')).body.id).toBe('fresh@2');
  });

  it("hides another tenant's adapter in every way", async () => {
    await submit(client, 'mine');
    const stranger = await makeTenant();
    for (const options of [{}, { method: 'DELETE' }]) {
      const answer = await stranger.call('/v1/adapters/mine@1', options);
      expect(problemOf(answer)).toMatchObject({ status: 404, code: 'adapter_not_found' });
    }
    expect((await stranger.call('/v1/adapters')).body.data).toEqual([]);
    expect((await client.call('/v1/adapters/mine@1')).status).toBe(200);
  });

  it('answers 404 to names that are none', async () => {
    for (const id of ['Nope', '..%2fx', 'a%00b', 'x@0', 'x@1@2']) {
      expect(problemOf(await client.call(`/v1/adapters/${id}`)).code).toBe('adapter_not_found');
    }
  });

  it('deletes a ready version from R2, the nodes and the list', async () => {
    const own = await makeTenant();
    const other = await new TestNode().register();
    await makeReady(own, other, 'gone');
    expect((await env.BUCKET.list({ prefix: 'adapters/' })).objects.length).toBeGreaterThan(0);
    const before = (await env.BUCKET.list()).objects.length;
    const { calls, restore } = serveNodes(() => new Response(null, { status: 204 }));
    const answer = await own.call('/v1/adapters/gone@1', { method: 'DELETE' });
    restore();
    expect(answer.body).toEqual({ id: 'gone@1', object: 'adapter', deleted: true });
    expect((await own.call('/v1/adapters/gone')).status).toBe(404);
    expect((await own.call('/v1/adapters/gone@1', { method: 'DELETE' })).status).toBe(404);
    expect((await env.BUCKET.list()).objects.length).toBe(before - 3);
    const evicted = calls.find((call) => call.url.startsWith(other.url));
    expect(evicted).toMatchObject({
      url: `${other.url}/internal/evict`,
      body: { bundles: [expect.any(String)] },
    });
    expect((await other.beat()).deleted_bundles).toEqual(evicted!.body.bundles);
    expect((await other.beat()).deleted_bundles).toEqual([]);
  });

  it('deletes even where no node answers', async () => {
    const own = await makeTenant();
    await makeReady(own, await new TestNode().register(), 'deaf');
    const { restore } = serveNodes(() => {
      throw new Error('connection refused');
    });
    expect((await own.call('/v1/adapters/deaf', { method: 'DELETE' })).status).toBe(200);
    restore();
  });

  it('keeps a bundle on the nodes while another adapter has the same', async () => {
    const own = await makeTenant();
    const other = await new TestNode().register();
    const ids = [
      await submit(own, 'one', { base_model: other.baseModel }),
      await submit(own, 'two', { base_model: other.baseModel }),
    ];
    for (const _ of ids) await finish((await other.lease())!, 'the same bytes');
    const { restore } = serveNodes(() => new Response(null, { status: 204 }));
    await own.call('/v1/adapters/one', { method: 'DELETE' });
    expect((await other.beat()).deleted_bundles).toEqual([]);
    await own.call('/v1/adapters/two', { method: 'DELETE' });
    expect((await other.beat()).deleted_bundles).toHaveLength(1);
    restore();
  });

  it('cancels the job of an adapter that is deleted while it trains', async () => {
    const own = await makeTenant();
    const other = await new TestNode().register();
    await submit(own, 'busy', { base_model: other.baseModel });
    const lease = (await other.lease())!;
    await own.call('/v1/adapters/busy', { method: 'DELETE' });
    const { jobs: states } = await other.beat([{ job_id: lease.job_id, token: lease.token, progress: null }]);
    expect(states).toEqual([{ job_id: lease.job_id, state: 'cancelled' }]);
    expect((await own.call(`/v1/fine_tuning/jobs/${lease.job_id}`)).body.status).toBe('cancelled');
  });
});

describe('where an adapter is', () => {
  it('is asked of the nodes that can have it; those that do not answer are left out', async () => {
    const own = await makeTenant();
    const [first, second, third] = await Promise.all(
      ['fp32', 'fp32', 'int8'].map((precision) =>
        new TestNode(`base-of-${own.tenant}`).register([precision as 'fp32' | 'int8']),
      ),
    );
    await submit(own, 'placed', { base_model: first!.baseModel });
    await finish((await first!.lease())!, 'placed');
    const { bundle } = (await db.select().from(adapters).where(eq(adapters.tenant, own.tenant)))[0]!;
    first!.tiers.set(bundle!, 'slot');
    third!.tiers.set(bundle!, 'disk');
    expect((await own.call('/v1/adapters/placed')).body.resident).toEqual([
      { node: first!.id, tier: 'slot' },
    ]);
    second!.tiers.set(bundle!, 'memory');
    const { resident } = (await own.call('/v1/adapters/placed')).body;
    expect(resident).toHaveLength(2);
    expect(resident).toContainEqual({ node: second!.id, tier: 'memory' });
    expect((await own.call('/v1/adapters')).body.data[0]).not.toHaveProperty('resident');
  });

  it('is warm on its first node after training, and where it is asked for', async () => {
    const own = await makeTenant();
    const other = await new TestNode().register();
    await makeReady(own, other, 'eager');
    await expect.poll(() => other.warmed).toHaveLength(1);
    const answer = await own.call('/v1/adapters/eager/warm', { method: 'POST' });
    expect([answer.status, answer.body]).toEqual([202, { id: 'eager@1', object: 'adapter', node: other.id }]);
    expect(other.warmed).toEqual([other.warmed[0], other.warmed[0]]);
  });

  it('cannot be warmed before it is ready, where there is none, or where no node has its base model', async () => {
    const own = await makeTenant();
    const other = await new TestNode().register();
    const warm = (id: string) => own.call(`/v1/adapters/${id}/warm`, { method: 'POST' });
    await submit(own, 'young', { base_model: other.baseModel });
    expect(problemOf(await warm('young'))).toMatchObject({ status: 409, code: 'adapter_not_ready' });
    expect(problemOf(await warm('none'))).toMatchObject({ status: 404, code: 'adapter_not_found' });
    expect(problemOf(await warm('..%2fx'))).toMatchObject({ status: 404, code: 'adapter_not_found' });
    await finish((await other.lease())!);
    await db.update(nodes).set({ lastSeen: 1 }).where(eq(nodes.id, other.id));
    isolate.nodes.clear();
    expect(problemOf(await warm('young'))).toMatchObject({ status: 503, code: 'no_capacity' });
  });
});
