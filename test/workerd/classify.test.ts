import { eq } from 'drizzle-orm';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { nodes } from '../../edge/db/schema.ts';
import { randomHex } from '../../edge/hashing.ts';
import { isolate } from '../../edge/nodes/isolate.ts';
import { classifyResponse } from '../../shared/api/inference.ts';
import { AppError } from '../../shared/errors.ts';
import { peftConfig } from '../../shared/peft-config.ts';
import { makeReady, submit } from './support/adapters.ts';
import { type Client, callAsNode, db, makeTenant, problemOf } from './support/api.ts';
import {
  classifyAsNode,
  fakeScores,
  finish,
  type NodeCall,
  RESOLVED,
  refusalOf,
  serveNodes,
  TestNode,
} from './support/nodes.ts';

let client: Client;
let node: TestNode;
let restore = () => {};

function answerBy(answer: (call: NodeCall) => Response | Promise<Response>): NodeCall[] {
  const served = serveNodes(answer);
  restore = served.restore;
  return served.calls;
}

const classify = (json: unknown, as = client) => as.call('/v1/classify', { json });

beforeAll(async () => {
  client = await makeTenant();
  node = await new TestNode().register();
  await makeReady(client, node, 'spam');
  await makeReady(client, node, 'topic');
});

// A node that was heard of too long ago is not alive, however slow the machine.
beforeEach(async () => {
  await node.beat();
});

afterEach(() => {
  restore();
  isolate.nodes.clear();
  isolate.traffic.clear();
});

describe('POST /v1/moderations', () => {
  it('gives the same answers as categories, for texts and for parts of text', async () => {
    answerBy(classifyAsNode);
    const input = ['win money', 'see you'];
    const { data } = (await classify({ model: 'spam', input })).body;
    for (const given of [input, input.map((text) => ({ type: 'text', text }))]) {
      const { status, body } = await client.call('/v1/moderations', {
        json: { model: 'spam', input: given },
      });
      expect([status, body.model, body.results.length]).toEqual([200, 'spam@1', 2]);
      for (const [i, { flagged, categories, category_scores }] of body.results.entries()) {
        expect(flagged).toBe(true);
        expect(category_scores).toEqual(data[i].scores);
        const chosen = Object.keys(categories).filter((label) => categories[label]);
        expect(chosen).toEqual([data[i].label]);
      }
    }
  });

  it('refuses pictures, no model, and another tenant’s adapter', async () => {
    const moderate = (json: object, as = client) => as.call('/v1/moderations', { json });
    const picture = [{ type: 'image_url', image_url: { url: 'https://a.test/b.png' } }];
    expect((await moderate({ model: 'spam', input: picture })).status).toBe(422);
    expect(problemOf(await moderate({ input: 'x' }))).toMatchObject({ status: 422, param: 'model' });
    expect((await moderate({ model: 'spam', input: 'x' }, await makeTenant())).status).toBe(404);
  });
});

describe('POST /v1/classify', () => {
  it('classifies one text', async () => {
    const calls = answerBy(classifyAsNode);
    const { status, body, headers } = await classify({ model: 'spam', input: 'win money' });
    expect(status).toBe(200);
    const { model, data, usage } = classifyResponse.parse(body);
    const [row] = data;
    expect(model).toBe('spam@1');
    expect(row!.scores[row!.label]).toBe(row!.score);
    expect(row!.score).toBe(Math.max(...Object.values(row!.scores)));
    expect(usage).toEqual({ prompt_tokens: 9, total_tokens: 9 });
    expect(headers.get('server-timing')).toMatch(
      /edge;dur=.*tokenize;dur=4\.0, queue;dur=1\.0, load;dur=2\.0, run;dur=3\.0/,
    );
    expect(calls).toHaveLength(1);
    expect(calls[0]).toMatchObject({
      url: `${node.url}/internal/classify`,
      secret: 'Bearer node-secret-of-tests',
      body: { rows: [{ text: 'win money' }] },
    });
  });

  it('answers a mixed batch over several nodes and base models in the order of its input', async () => {
    const others = await Promise.all([new TestNode().register(), new TestNode().register()]);
    const own = await makeTenant();
    await makeReady(own, node, 'a');
    await makeReady(own, others[0]!, 'b');
    await makeReady(own, others[1]!, 'c');
    const calls = answerBy(classifyAsNode);
    const input = Array.from({ length: 30 }, (_, i) => ({ model: 'abc'[i % 3]!, text: 'x'.repeat(i + 1) }));
    const { body } = await classify({ input }, own);
    expect(calls).toHaveLength(3);
    expect(body.model).toBeNull();
    const bundles = new Map(
      calls.flatMap((call) => call.body.rows.map(({ bundle, text }) => [text, bundle])),
    );
    for (const [i, row] of body.data.entries()) {
      const text = input[i]!.text;
      expect(row).toMatchObject({ index: i, model: `${input[i]!.model}@1` });
      const [ham, spam] = fakeScores(bundles.get(text)!, text);
      expect(row.scores).toEqual({ ham, spam });
    }
  });

  it('sends several adapters of one node in one call', async () => {
    const calls = answerBy(classifyAsNode);
    const input = [
      { model: 'spam', text: 'a' },
      { model: 'topic@1', text: 'b' },
      { model: 'spam@1', text: 'c' },
    ];
    const { body } = await classify({ input });
    expect(calls).toHaveLength(1);
    expect(body.data.map((row: { model: string }) => row.model)).toEqual(['spam@1', 'topic@1', 'spam@1']);
  });

  it('sends adapters of several base models to a node that has them in one call', async () => {
    const own = await makeTenant();
    const [first, second] = [`base-${randomHex(3)}`, `base-${randomHex(3)}`];
    const both = await new TestNode(first, second).register();
    await makeReady(own, both, 'a', first);
    await makeReady(own, both, 'b', second);
    const calls = answerBy(classifyAsNode);
    const input = ['a', 'b', 'b', 'a', 'b'].map((model, i) => ({ model, text: 'x'.repeat(i + 1) }));
    const { body } = await classify({ input }, own);
    expect(calls.map((call) => call.url)).toEqual([`${both.url}/internal/classify`]);
    for (const [i, { bundle, text }] of calls[0]!.body.rows.entries()) {
      expect(text).toBe(input[i]!.text);
      const [ham, spam] = fakeScores(bundle, text);
      expect(body.data[i]).toMatchObject({ index: i, model: `${input[i]!.model}@1`, scores: { ham, spam } });
    }
  });

  it('asks only nodes that have the base model in the precision of the adapter', async () => {
    const own = await makeTenant();
    const able = await new TestNode().register(['fp32', 'int8']);
    await submit(own, 'small', { base_model: able.baseModel });
    const method = peftConfig.parse({ ...RESOLVED.method, base_precision: 'int8' });
    const resolved = { ...RESOLVED, method };
    await finish((await able.lease())!, 'small', resolved);
    await Promise.all(Array.from({ length: 6 }, () => new TestNode(able.baseModel).register()));
    const calls = answerBy(classifyAsNode);
    await classify({ model: 'small', input: 'x' }, own);
    expect(calls.map((call) => new URL(call.url).origin)).toEqual([able.url]);
    const { data } = (await own.call('/v1/models')).body;
    expect(data.find(({ id }: { id: string }) => id === able.baseModel)).toMatchObject({
      precisions: ['fp32', 'int8'],
      nodes: 7,
      nodes_by_precision: { fp32: 7, int8: 1 },
    });
  });

  it('turns to another node with the base model alone for the rows that it can answer', async () => {
    const own = await makeTenant();
    const [first, second] = [`base-${randomHex(3)}`, `base-${randomHex(3)}`];
    const both = await new TestNode(first, second).register();
    await makeReady(own, both, 'a', first);
    await makeReady(own, both, 'b', second);
    const spare = await new TestNode(second).register();
    const calls = answerBy((call) =>
      call.url.startsWith(both.url) ? new Response('oops', { status: 500 }) : classifyAsNode(call),
    );
    expect((await classify({ model: 'b', input: 'x' }, own)).status).toBe(200);
    expect(new URL(calls.at(-1)!.url).origin).toBe(spare.url);
    const input = [
      { model: 'a', text: 'x' },
      { model: 'b', text: 'y' },
    ];
    const answer = await classify({ input }, own);
    expect(problemOf(answer)).toMatchObject({ status: 503, code: 'no_capacity' });
    expect(answer.body.detail).toContain(first);
  });

  it.each([
    ['no input', { model: 'spam' }, 422, 'invalid_request', 'input'],
    ['no model', { input: 'x' }, 422, 'invalid_request', 'model'],
    ['an empty text', { model: 'spam', input: '' }, 422, 'invalid_request', 'input'],
    ['an empty text among others', { model: 'spam', input: ['a', ' '] }, 422, 'invalid_request', 'input.1'],
    [
      'an empty text of a mixed batch',
      {
        input: [
          { model: 'spam', text: 'a' },
          { model: 'spam', text: '' },
        ],
      },
      422,
      'invalid_request',
      'input.1.text',
    ],
    ['no texts', { model: 'spam', input: [] }, 422, 'invalid_request', 'input'],
    ['257 inputs', { model: 'spam', input: Array(257).fill('x') }, 422, 'invalid_request', 'input'],
    [
      '257 mixed inputs',
      { input: Array(257).fill({ model: 'spam', text: 'x' }) },
      422,
      'invalid_request',
      'input',
    ],
    ['a name with a slash', { model: 'a/b', input: 'x' }, 422, 'invalid_request', 'model'],
    ['a name that climbs', { model: '../spam', input: 'x' }, 422, 'invalid_request', 'model'],
    ['an unknown field', { model: 'spam', input: 'x', top: 1 }, 422, 'invalid_request', 'top'],
    ['an unknown adapter', { model: 'nope', input: 'x' }, 404, 'adapter_not_found', 'model'],
    ['an unknown version', { model: 'spam@9', input: 'x' }, 404, 'adapter_not_found', 'model'],
    [
      'an unknown adapter in a mixed batch',
      {
        input: [
          { model: 'spam', text: 'a' },
          { model: 'nope', text: 'b' },
        ],
      },
      404,
      'adapter_not_found',
      'input.1.model',
    ],
  ])('refuses %s', async (_, json, status, code, param) => {
    const calls = answerBy(classifyAsNode);
    expect(problemOf(await classify(json))).toEqual({ status, code, param });
    expect(calls).toEqual([]);
  });

  it.each([
    ['malformed JSON', '{"model":"spam","input":', 'application/json', 400, 'malformed_json'],
    ['invalid UTF-8', new Uint8Array([0x22, 0xff, 0xfe, 0x22]), 'application/json', 400, 'malformed_json'],
    ['another media type', 'model=spam', 'text/plain', 415, 'unsupported_media_type'],
    [
      'a text of 10 MB',
      JSON.stringify({ model: 'spam', input: 'x'.repeat(10e6) }),
      'application/json',
      413,
      'payload_too_large',
    ],
  ])('refuses %s', async (_, body, type, status, code) => {
    const calls = answerBy(classifyAsNode);
    const headers = { 'content-type': type };
    expect(problemOf(await client.call('/v1/classify', { body, headers }))).toEqual({
      status,
      code,
      param: null,
    });
    expect(calls).toEqual([]);
  });

  it('says what a cancelled training makes of its adapter', async () => {
    const own = await makeTenant();
    await submit(own, 'halted', { base_model: node.baseModel });
    const { job_id } = (await own.call('/v1/adapters/halted')).body;
    await own.call(`/v1/fine_tuning/jobs/${job_id}/cancel`, { method: 'POST' });
    const answer = await classify({ model: 'halted', input: 'x' }, own);
    expect(problemOf(answer)).toEqual({ status: 409, code: 'adapter_not_ready', param: 'model' });
    expect(answer.body.detail).toContain('cancelled');
  });

  it('takes texts of NUL, emoji, right-to-left and Chinese as they are', async () => {
    const calls = answerBy(classifyAsNode);
    const input = ['a\u0000b', '🦜', 'שלום', '你好'];
    expect((await classify({ model: 'spam', input })).status).toBe(200);
    expect(calls[0]!.body.rows.map((row) => row.text)).toEqual(input);
  });

  it('refuses a body beyond 1 MB', async () => {
    const answer = await classify({ model: 'spam', input: 'x'.repeat(1024 * 1024) });
    expect(problemOf(answer)).toMatchObject({ status: 413, code: 'payload_too_large' });
  });

  it('says of an adapter that trains or has failed that it is not ready', async () => {
    const own = await makeTenant();
    const other = await new TestNode().register();
    await submit(own, 'young', { base_model: other.baseModel });
    const queued = await classify({ model: 'young', input: 'x' }, own);
    expect(problemOf(queued)).toEqual({ status: 409, code: 'adapter_not_ready', param: 'model' });
    expect(queued.body.detail).toContain('queued');
    const lease = (await other.lease())!;
    const error = { code: 'training_failed', message: 'the loss is NaN' };
    await callAsNode(`/internal/jobs/${lease.job_id}/fail`, {
      json: { token: lease.token, error, retryable: false },
    });
    const failed = await classify({ model: 'young', input: 'x' }, own);
    expect(failed.body.detail).toContain('failed: the loss is NaN');
  });

  it('answers 404 from the moment an adapter is deleted', async () => {
    const own = await makeTenant();
    await makeReady(own, node, 'brief');
    answerBy((call) =>
      call.url.endsWith('/classify') ? classifyAsNode(call) : new Response(null, { status: 204 }),
    );
    expect((await classify({ model: 'brief', input: 'x' }, own)).status).toBe(200);
    await own.call('/v1/adapters/brief', { method: 'DELETE' });
    expect(problemOf(await classify({ model: 'brief', input: 'x' }, own))).toMatchObject({ status: 404 });
  });

  it("hides another tenant's adapter", async () => {
    const stranger = await makeTenant();
    expect(problemOf(await classify({ model: 'spam', input: 'x' }, stranger))).toMatchObject({
      status: 404,
      code: 'adapter_not_found',
    });
  });
});

/** What a node answers that was started again with other base models. */
function withoutBaseModel(): Response {
  const error = { message: 'm', type: 'not_found_error', param: null, code: 'model_not_found' };
  const body = { type: 't', title: 't', status: 404, detail: 'd', error, request_id: 'r' };
  return Response.json(body, { status: 404 });
}

describe('the headers of a classification', () => {
  it('name the request to the node as to the client', async () => {
    const calls = answerBy(classifyAsNode);
    const json = { model: 'spam', input: 'x' };
    const named = await client.call('/v1/classify', { json, headers: { 'x-request-id': 'mine_1-a' } });
    expect(named.headers.get('x-request-id')).toBe('mine_1-a');
    const unnamed = await client.call('/v1/classify', { json, headers: { 'x-request-id': 'no name\ttoo=' } });
    expect(calls.map(({ requestId }) => requestId)).toEqual([
      'mine_1-a',
      unnamed.headers.get('x-request-id'),
    ]);
  });

  it('say how long the client waits, which the node is told', async () => {
    const calls = answerBy(classifyAsNode);
    const json = { model: 'spam', input: 'x' };
    const wait = (ms: string) => client.call('/v1/classify', { json, headers: { 'x-timeout-ms': ms } });
    expect((await wait('4000')).status).toBe(200);
    expect(calls[0]!.body.deadline_ms).toBeGreaterThan(0);
    expect(calls[0]!.body.deadline_ms).toBeLessThanOrEqual(4000);
    for (const ms of ['0', '60001', 'soon', '1.5']) {
      const refused = { status: 422, code: 'invalid_request', param: 'x-timeout-ms' };
      expect(problemOf(await wait(ms))).toEqual(refused);
    }
  });
});

describe('when nodes fail', () => {
  it('tries the next node once where one is lost or broken', async () => {
    const twin = await new TestNode(node.baseModel).register();
    for (const broken of [
      () => Promise.reject(new TypeError('connection refused')),
      () => new Response('oops', { status: 500 }),
      () => Response.json({ labels: {}, rows: [], timing: {} }),
      () => withoutBaseModel(),
    ]) {
      let first: string | undefined;
      const calls = answerBy((call) => {
        first ??= new URL(call.url).origin;
        return call.url.startsWith(first) ? broken() : classifyAsNode(call);
      });
      expect((await classify({ model: 'spam', input: 'x' })).status).toBe(200);
      expect(new Set(calls.map((call) => new URL(call.url).origin))).toEqual(new Set([node.url, twin.url]));
      restore();
    }
    await db.delete(nodes).where(eq(nodes.id, twin.id));
  });

  it('answers 503 with Retry-After where no node answers', async () => {
    answerBy(() => {
      throw new TypeError('connection refused');
    });
    const answer = await classify({ model: 'spam', input: 'x' });
    expect(problemOf(answer)).toEqual({ status: 503, code: 'no_capacity', param: null });
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it.each([
    ['the time is over', new DOMException('', 'TimeoutError')],
    ['the node is lost', new TypeError('connection reset')],
  ])(
    'answers 503, not 502, where %s between the status of a refusal and its reason',
    async (_when, broken) => {
      answerBy(() => {
        const body = new ReadableStream({ pull: (controller) => controller.error(broken) });
        return new Response(body, { status: 422, headers: { 'content-type': 'application/problem+json' } });
      });
      const answer = await classify({ model: 'spam', input: 'x' });
      expect(problemOf(answer)).toEqual({ status: 503, code: 'no_capacity', param: null });
    },
  );

  it('answers 503 where no node is alive, and lists no model', async () => {
    await db.update(nodes).set({ lastSeen: 1 });
    const calls = answerBy(classifyAsNode);
    const answer = await classify({ model: 'spam', input: 'x' });
    expect(problemOf(answer)).toEqual({ status: 503, code: 'no_capacity', param: null });
    expect(calls).toEqual([]);
    const baseModels = async () =>
      (await client.call('/v1/models')).body.data.filter(
        ({ owned_by }: { owned_by: string }) => owned_by === 'weft',
      );
    expect(await baseModels()).toEqual([]);
    await node.beat();
    expect(await baseModels()).toEqual([
      {
        id: node.baseModel,
        object: 'model',
        created: expect.any(Number),
        owned_by: 'weft',
        precisions: ['fp32'],
        nodes: 1,
        nodes_by_precision: { fp32: 1 },
      },
    ]);
  });

  it('asks a node that has left no more', async () => {
    const leaver = await new TestNode(node.baseModel).register();
    await callAsNode(`/internal/nodes/${leaver.id}/leave`, { method: 'POST' });
    const calls = answerBy(classifyAsNode);
    for (const model of ['spam', 'topic']) expect((await classify({ model, input: 'x' })).status).toBe(200);
    expect(calls.filter((call) => call.url.startsWith(leaver.url))).toEqual([]);
    const { data } = (await client.call('/v1/models')).body;
    expect(data.find(({ id }: { id: string }) => id === node.baseModel).nodes).toBe(1);
  });

  it("passes a full queue's 429 and Retry-After on", async () => {
    const error = {
      message: 'the queue is full',
      type: 'rate_limit_error',
      param: null,
      code: 'rate_limited',
    };
    const problem = { type: 't', title: 't', status: 429, detail: 'd', error, request_id: 'r' };
    const calls = answerBy(() => Response.json(problem, { status: 429, headers: { 'retry-after': '3' } }));
    const answer = await classify({ model: 'spam', input: 'x' });
    expect(problemOf(answer)).toMatchObject({ status: 429, code: 'rate_limited' });
    expect(answer.headers.get('retry-after')).toBe('3');
    expect(calls).toHaveLength(1);
  });

  it('asks another node where the queue of one is full', async () => {
    const twin = await new TestNode(node.baseModel).register();
    const full = () => refusalOf(new AppError('rate_limited', 'the queue is full', { retryAfter: 3 }));
    const calls: NodeCall[] = answerBy((call) => (calls.length === 1 ? full() : classifyAsNode(call)));
    expect((await classify({ model: 'spam', input: 'x' })).status).toBe(200);
    expect(new Set(calls.map((call) => new URL(call.url).origin))).toEqual(new Set([node.url, twin.url]));
    await db.delete(nodes).where(eq(nodes.id, twin.id));
  });

  it('leaves a node that keeps failing alone, also as the first of its adapters', async () => {
    const twin = await new TestNode(node.baseModel).register();
    const calls = answerBy((call) => {
      if (call.url.startsWith(node.url)) throw new TypeError('connection refused');
      return classifyAsNode(call);
    });
    const input = Array.from({ length: 12 }, () => ['spam', 'topic'].map((model) => ({ model, text: 'x' })));
    for (const rows of input) expect((await classify({ input: rows })).status).toBe(200);
    expect(calls.filter((call) => call.url.startsWith(node.url)).length).toBeLessThanOrEqual(3);
    await db.delete(nodes).where(eq(nodes.id, twin.id));
  });

  it.each([
    ['one adapter', { model: 'spam', input: ['a', 'b'] }, 'rows.0.bundle', 'model', 'spam'],
    [
      'a mixed batch',
      { input: ['spam', 'topic', 'spam'].map((model) => ({ model, text: model })) },
      'rows.1.bundle',
      'input.1.model',
      'topic',
    ],
  ])('says why a node refuses an adapter of %s, and where it is named', async (_, json, at, param, ref) => {
    const calls = answerBy(() =>
      refusalOf(new AppError('invalid_adapter', 'adapter_model.safetensors: a NaN', { param: at })),
    );
    for (let i = 0; i < 4; i++) {
      const answer = await classify(json);
      expect(problemOf(answer)).toEqual({ status: 422, code: 'invalid_adapter', param });
      expect(answer.body.detail).toBe(
        `${param}: the adapter ${ref} cannot be served: adapter_model.safetensors: a NaN`,
      );
    }
    expect(isolate.traffic.isOpen(node.id)).toBe(false);
    expect(calls).toHaveLength(4);
  });

  it.each([
    ['that it has no room now', 'no_capacity', 503, 'no_capacity'],
    ["that it cannot fetch an adapter's files", 'upstream_failed', 503, 'no_capacity'],
    ['that the texts take longer than their client waits', 'deadline_too_short', 422, 'deadline_too_short'],
  ] as const)('passes on what a node says of itself: %s', async (_, said, status, code) => {
    answerBy(() => refusalOf(new AppError(said, 'what happened', { retryAfter: 9 })));
    for (let i = 0; i < 4; i++) {
      const answer = await classify({ model: 'spam', input: 'x' });
      expect(problemOf(answer)).toMatchObject({ status, code });
      expect(answer.body.detail).toBe('what happened');
      expect(answer.headers.get('retry-after')).toBe(status === 503 ? '9' : null);
    }
    expect(isolate.traffic.isOpen(node.id)).toBe(false);
  });

  it('tells no client what a node complains about', async () => {
    answerBy(() => Response.json({ error: 'ENOENT /srv/models/secret' }, { status: 400 }));
    const answer = await classify({ model: 'spam', input: 'x' });
    expect(problemOf(answer)).toMatchObject({ status: 502, code: 'upstream_failed' });
    expect(JSON.stringify(answer.body)).not.toContain('/srv');
  });
});
