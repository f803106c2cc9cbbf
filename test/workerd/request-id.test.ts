import { exports } from 'cloudflare:workers';
import { beforeAll, expect, it } from 'vitest';
import { app } from '../../edge/app.ts';
import { makeReady, submit } from './support/adapters.ts';
import { type Client, makeTenant, NODE_SECRET } from './support/api.ts';
import { TestNode } from './support/nodes.ts';

let client: Client;
let node: TestNode;

beforeAll(async () => {
  client = await makeTenant();
  node = await new TestNode().register();
});

/** What an answer says its request is called, having been told a name. */
async function nameOf(path: string, init: RequestInit = {}, key = client.key) {
  const headers = { authorization: `Bearer ${key}`, 'x-request-id': 'mine', ...init.headers };
  const response = await exports.default.fetch(new Request(`https://edge.test${path}`, { ...init, headers }));
  await response.body?.cancel();
  return response.headers.get('x-request-id');
}

const routes = [...new Set(app.routes.map(({ method, path }) => `${method} ${path}`))]
  .map((route) => route.split(' ') as [string, string])
  .filter(([method]) => method !== 'ALL');

it.each(routes)('%s %s names its request, whatever it answers', async (method, path) => {
  const concrete = path.replace(/:\w+(\{[^}]*\})?/g, 'x');
  for (const key of [client.key, NODE_SECRET, 'no-key'])
    expect(await nameOf(concrete, { method }, key)).toBe('mine');
});

it('is told where there is no such path, no such method, and no body to a HEAD', async () => {
  expect(await nameOf('/nowhere')).toBe('mine');
  expect(await nameOf('/health', { method: 'DELETE' })).toBe('mine');
  expect(await nameOf('/v1/models', { method: 'HEAD' })).toBe('mine');
});

it('is told beside a download, one that has not changed, and a stream', async () => {
  await makeReady(client, node, 'mine');
  const file = '/v1/adapters/mine/files/adapter_model.safetensors';
  expect(await nameOf(file)).toBe('mine');
  const whole = await client.call(file);
  expect(whole.status).toBe(200);
  expect(await nameOf(file, { headers: { 'if-none-match': whole.headers.get('etag')! } })).toBe('mine');
  await submit(client, 'streamed', { base_model: node.baseModel });
  const { job_id } = (await client.call('/v1/adapters/streamed')).body;
  const events = `/v1/fine_tuning/jobs/${job_id}/events`;
  expect(await nameOf(events, { headers: { accept: 'text/event-stream' } })).toBe('mine');
});
