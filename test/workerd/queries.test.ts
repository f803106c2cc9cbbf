import { beforeAll, describe, expect, it } from 'vitest';
import { EXAMPLES, submit } from './support/adapters.ts';
import { type Client, call, callAsNode, makeTenant, problemOf } from './support/api.ts';
import { TestNode } from './support/nodes.ts';

let client: Client;
const idsOf = async (path: string) => {
  const { status, body } = await client.call(path);
  expect(status).toBe(200);
  return body.data.map(({ id }: { id: string }) => id);
};

async function upload(): Promise<string> {
  const form = new FormData();
  form.append('purpose', 'fine-tune');
  const rows = EXAMPLES.map((row) => `${JSON.stringify(row)}\n`).join('');
  form.append('file', new File([rows], 'train.jsonl'));
  return (await client.call('/v1/files', { method: 'POST', body: form })).body.id;
}

beforeAll(async () => {
  client = await makeTenant();
  await new TestNode().register();
});

describe('a query parameter that a path does not have', () => {
  it.each([
    ['GET', '/v1/files?expires_after=1', 'expires_after', /after, limit, order, purpose/],
    ['GET', '/v1/files?metadata[a]=b', 'metadata[a]', /after, limit, order, purpose/],
    ['GET', '/v1/fine_tuning/jobs?status=queued', 'status', /after, limit, order, metadata\[KEY\]/],
    ['GET', '/v1/fine_tuning/jobs?limit[a]=1', 'limit[a]', /metadata\[KEY\]/],
    ['GET', '/v1/adapters?label=spam', 'label', /name/],
    ['GET', '/v1/models?limit=2', 'limit', /takes none/],
    ['GET', '/v1/files/file_1?limit=2', 'limit', /takes none/],
    ['DELETE', '/v1/files/file_1?force=1', 'force', /takes none/],
    ['POST', '/v1/files?purpose=fine-tune', 'purpose', /takes none/],
    ['POST', '/v1/adapters?dry_run=1', 'dry_run', /takes none/],
    ['POST', '/v1/adapters/import?name=a', 'name', /takes none/],
    ['POST', '/v1/classify?model=a', 'model', /takes none/],
  ])('is refused and named: %s %s', async (method, path, param, known) => {
    const answer = await client.call(path, { method });
    expect(problemOf(answer)).toEqual({ status: 400, code: 'unknown_parameter', param });
    expect(answer.body.detail).toMatch(known);
  });

  it('is refused without a key and by nodes’ routes as well, and hides no unknown path', async () => {
    expect(problemOf(await call(undefined, '/health?a=1'))).toMatchObject({ status: 400, param: 'a' });
    expect(problemOf(await call(undefined, '/openapi.json?a=1'))).toMatchObject({ status: 400, param: 'a' });
    const beat = await callAsNode('/internal/nodes/node_1/heartbeat?a=1', { json: {} });
    expect(problemOf(beat)).toMatchObject({ status: 400, param: 'a' });
    expect(problemOf(await client.call('/v1/nothing?a=1'))).toMatchObject({ status: 404, code: 'not_found' });
    const wrong = await client.call('/v1/models?a=1', { method: 'DELETE' });
    expect(problemOf(wrong)).toMatchObject({ status: 405 });
  });
});

describe('a field that a body does not have', () => {
  it('is named beside those it has', async () => {
    const post = (json: object) => client.call('/v1/adapters', { json });
    const answer = await post({ name: 'a', examples: EXAMPLES, suffix: 'x' });
    expect(problemOf(answer)).toEqual({ status: 422, code: 'invalid_request', param: 'suffix' });
    expect(answer.body.detail).toMatch(/unknown field; there are name, training_file, .*metadata/);
    const nested = await post({ name: 'a', examples: EXAMPLES, method: { type: 'lora', rank: 8 } });
    expect(problemOf(nested)).toMatchObject({ param: 'method.rank' });
    expect(nested.body.detail).toMatch(/there are type, r, alpha/);
  });

  it('is refused in a form, which says what it takes', async () => {
    for (const [path, known] of [
      ['/v1/files', /file, purpose/],
      ['/v1/adapters/import', /adapter_model\.safetensors, .*, weft\.json, name, labels/],
    ] as const) {
      const form = new FormData();
      form.append('expires_at', '3600');
      const answer = await client.call(path, { method: 'POST', body: form });
      const param = 'expires_at';
      expect(problemOf(answer)).toEqual({ status: 422, code: 'invalid_request', param });
      expect(answer.body.detail).toMatch(known);
    }
  });
});

describe('a list', () => {
  it('gives its bound to a limit beyond it, and refuses what is no number from 1 on', async () => {
    for (const path of ['/v1/files', '/v1/adapters', '/v1/fine_tuning/jobs']) {
      for (const limit of ['100', '101', '10000', '9'.repeat(400)]) {
        expect((await client.call(`${path}?limit=${limit}`)).status).toBe(200);
      }
      for (const limit of ['0', '-1', '1.5', 'ten', '', '1e2', '0x10', '5&limit=6']) {
        const answer = await client.call(`${path}?limit=${limit}`);
        expect(problemOf(answer)).toEqual({ status: 422, code: 'invalid_request', param: 'limit' });
      }
    }
  });

  it('goes either way from its cursor', async () => {
    const files = [await upload(), await upload(), await upload()];
    expect(await idsOf('/v1/files?order=asc')).toEqual(files);
    expect(await idsOf('/v1/files?order=desc')).toEqual(files.toReversed());
    expect(await idsOf(`/v1/files?order=asc&limit=1&after=${files[0]}`)).toEqual([files[1]]);
    const adapters = [await submit(client, 'one'), await submit(client, 'two')];
    expect(await idsOf('/v1/adapters?order=asc')).toEqual(adapters);
    expect(await idsOf(`/v1/adapters?order=asc&after=${adapters[0]}`)).toEqual([adapters[1]]);
    const jobs = await idsOf('/v1/fine_tuning/jobs');
    expect(await idsOf('/v1/fine_tuning/jobs?order=asc')).toEqual(jobs.toReversed());
    const path = `/v1/fine_tuning/jobs/${jobs[0]}`;
    await client.call(`${path}/cancel`, { method: 'POST' });
    const events = await idsOf(`${path}/events`);
    expect(await idsOf(`${path}/events?order=asc`)).toEqual(events.toReversed());
    expect(await idsOf(`${path}/events?order=asc&after=${events.at(-1)}`)).toEqual([events[0]]);
    for (const list of ['/v1/files', '/v1/adapters', '/v1/fine_tuning/jobs', `${path}/events`]) {
      expect(problemOf(await client.call(`${list}?order=up`))).toMatchObject({ status: 422, param: 'order' });
    }
  });

  it('of files goes by purpose', async () => {
    expect((await idsOf('/v1/files?purpose=fine-tune')).length).toBeGreaterThan(0);
    expect(await idsOf('/v1/files?purpose=fine-tune-results')).toEqual([]);
    const answer = await client.call('/v1/files?purpose=vision');
    expect(problemOf(answer)).toMatchObject({ status: 422, param: 'purpose' });
    expect(answer.body.detail).toMatch(/fine-tune/);
  });

  it('of jobs goes by the metadata that came with the training', async () => {
    const jobOf = async (name: string, metadata: object) => {
      const id = await submit(client, name, { metadata });
      return (await client.call(`/v1/adapters/${id}`)).body.job_id;
    };
    const mail = await jobOf('mail', { team: 'mail', 'a."b"': '%' });
    const news = await jobOf('news', { team: 'news', 'a."b"': '%' });
    const of = (query: string) => idsOf(`/v1/fine_tuning/jobs?${query}`);
    expect(await of('metadata[team]=mail')).toEqual([mail]);
    expect(await of('metadata%5Bteam%5D=news')).toEqual([news]);
    const key = encodeURIComponent('metadata[a."b"]');
    expect(await of(`${key}=%25`)).toEqual([news, mail]);
    expect(await of(`${key}=%25&metadata[team]=mail`)).toEqual([mail]);
    expect(await of('metadata[team]=mail&metadata[stage]=1')).toEqual([]);
    const twice = await client.call('/v1/fine_tuning/jobs?metadata[team]=a&metadata[team]=b');
    expect(problemOf(twice)).toMatchObject({ status: 422, param: 'metadata.team' });
  });

  it('of events takes no page where it is followed as a stream', async () => {
    const [job] = await idsOf('/v1/fine_tuning/jobs?limit=1');
    const headers = { accept: 'text/event-stream' };
    const answer = await client.call(`/v1/fine_tuning/jobs/${job}/events?limit=5`, { headers });
    expect(problemOf(answer)).toMatchObject({ status: 422, param: 'limit' });
  });
});
