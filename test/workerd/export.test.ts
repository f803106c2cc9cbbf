import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isolate } from '../../edge/nodes/isolate.ts';
import { AppError } from '../../shared/errors.ts';
import { makeReady, submit } from './support/adapters.ts';
import { type Client, makeTenant, problemOf } from './support/api.ts';
import { type NodeCall, refusalOf, serveNodes, TestNode } from './support/nodes.ts';

const ARCHIVE = new TextEncoder().encode('an archive of some length');

let client: Client;
let node: TestNode;
let spare: TestNode;
let restore = () => {};

function answerBy(answer: (call: NodeCall) => Response | Promise<Response>): NodeCall[] {
  const served = serveNodes(answer);
  restore = served.restore;
  return served.calls;
}

const archive = () =>
  new Response(ARCHIVE, {
    headers: { 'content-type': 'application/x-tar', 'content-length': String(ARCHIVE.length) },
  });
const merge = (id = 'spam', json: unknown = { format: 'merged' }, as = client) =>
  as.call(`/v1/adapters/${id}/export`, { json });

beforeAll(async () => {
  client = await makeTenant();
  node = await new TestNode().register();
  spare = await new TestNode(node.baseModel).register();
  await makeReady(client, node, 'spam');
});

// A node that was heard of too long ago is not alive, however slow the machine.
beforeEach(async () => {
  await Promise.all([node.beat(), spare.beat()]);
});

afterEach(() => {
  restore();
  isolate.nodes.clear();
});

describe('POST /v1/adapters/ID/export', () => {
  it("passes on what a node with the adapter's base model makes", async () => {
    const calls = answerBy(archive);
    const { status, headers, body } = await merge();
    expect(status).toBe(200);
    expect(body).toBe(new TextDecoder().decode(ARCHIVE));
    expect(headers.get('content-type')).toBe('application/x-tar');
    expect(headers.get('content-length')).toBe(String(ARCHIVE.length));
    expect(headers.get('content-disposition')).toBe('attachment; filename="spam-1.tar"');
    expect(calls.map(({ url }) => new URL(url).pathname)).toEqual(['/internal/export']);
    expect(calls[0]!.body).toEqual({ bundle: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(calls[0]!.secret).toBe('Bearer node-secret-of-tests');
  });

  it('turns to another node where one is in trouble or busy, and says so where both are', async () => {
    const busy = () => refusalOf(new AppError('rate_limited', 'busy', { retryAfter: 10 }));
    for (const trouble of [() => new Response('oops', { status: 500 }), busy]) {
      let asked = 0;
      answerBy(() => (asked++ === 0 ? trouble() : archive()));
      expect((await merge()).status).toBe(200);
      expect(asked).toBe(2);
      restore();
    }
    answerBy(busy);
    const answer = await merge();
    expect(problemOf(answer)).toMatchObject({ status: 429, code: 'rate_limited' });
    expect(answer.headers.get('retry-after')).toBe('10');
    restore();
    answerBy(() => new Response('oops', { status: 500 }));
    expect(problemOf(await merge())).toMatchObject({ status: 503, code: 'no_capacity' });
  });

  it("gives a node's reason where the adapter cannot be merged", async () => {
    const message = 'prefix tuning cannot be merged';
    const calls = answerBy(() => refusalOf(new AppError('not_mergeable', message)));
    const answer = await merge();
    expect(problemOf(answer)).toMatchObject({ status: 422, code: 'not_mergeable' });
    expect(answer.body.detail).toBe(message);
    expect(calls).toHaveLength(1);
  });

  it('is 503 where no node alive has the base model', async () => {
    const gone = await new TestNode().register();
    await makeReady(client, gone, 'lonely');
    isolate.nodes.set('live', [{ id: spare.id, url: spare.url, baseModels: [] }]);
    const calls = answerBy(archive);
    const answer = await merge('lonely');
    expect(problemOf(answer)).toMatchObject({ status: 503, code: 'no_capacity' });
    expect(answer.body.detail).toContain(gone.baseModel);
    expect(calls).toEqual([]);
  });

  it.each([
    ['an unknown adapter', 'nope', { format: 'merged' }, 404, 'adapter_not_found'],
    ['a name that is none', 'a%20b', { format: 'merged' }, 404, 'adapter_not_found'],
    ['one that is not ready', 'queued', { format: 'merged' }, 409, 'adapter_not_ready'],
    ['another format', 'spam', { format: 'gguf' }, 422, 'invalid_request'],
    ['no format', 'spam', {}, 422, 'invalid_request'],
    ['an unknown field', 'spam', { format: 'merged', dtype: 'fp16' }, 422, 'invalid_request'],
  ])('refuses %s without asking a node', async (_, id, json, status, code) => {
    if (id === 'queued') await submit(client, 'queued', { base_model: node.baseModel });
    const calls = answerBy(archive);
    expect(problemOf(await merge(id, json))).toMatchObject({ status, code });
    expect(calls).toEqual([]);
  });
});
