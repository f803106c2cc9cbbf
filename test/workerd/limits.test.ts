import { createExecutionContext, waitOnExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { eq } from 'drizzle-orm';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { app } from '../../edge/app.ts';
import { tenantLimits, usage } from '../../edge/db/schema.ts';
import { addUsage } from '../../edge/db/usage.ts';
import { isolate } from '../../edge/nodes/isolate.ts';
import { RateMeter } from '../../edge/rate-meter.ts';
import type { OwnLimits } from '../../edge/tenant-limits.ts';
import { EXAMPLES, makeReady } from './support/adapters.ts';
import { type Client, db, makeTenant, problemOf } from './support/api.ts';
import { classifyAsNode, serveNodes, TestNode } from './support/nodes.ts';

let client: Client;
let node: TestNode;
let now = 0;

beforeAll(async () => {
  node = await new TestNode().register();
  serveNodes((call) =>
    call.url.endsWith('/classify') ? classifyAsNode(call) : new Response(null, { status: 204 }),
  );
});

beforeEach(async () => {
  client = await makeTenant();
  isolate.nodes.clear();
  now = 1_000_000 * 60_000 + 20_000;
  isolate.rates = new RateMeter(() => now);
});

const limit = async (limits: Partial<OwnLimits>) => {
  await db.insert(tenantLimits).values({ tenant: client.tenant, ...limits });
  isolate.keys.clear();
};
const limitHeaders = (headers: Headers) =>
  Object.fromEntries([...headers].filter(([name]) => name.startsWith('x-ratelimit-')));
const classify = (input: string) => client.call('/v1/classify', { json: { model: 'a', input } });
const upload = (extra = '', headers = {}) => {
  const form = new FormData();
  form.set('purpose', 'fine-tune');
  form.set(
    'file',
    new File([EXAMPLES.map((row) => `${JSON.stringify(row)}\n`).join('') + extra], 'rows.jsonl'),
  );
  return client.call('/v1/files', { body: form, headers });
};

describe('a tenant without limits', () => {
  it('is told of none but that of its queue, and none is counted', async () => {
    const { headers } = await client.call('/v1/models');
    expect(limitHeaders(headers)).toEqual({});
    expect(await db.select().from(usage).where(eq(usage.tenant, client.tenant))).toEqual([]);
  });
});

describe('requests in a minute', () => {
  it('are told in headers, refused beyond the limit with the time to wait, and free again after it', async () => {
    await limit({ requestsPerMinute: 2 });
    const first = await client.call('/v1/models');
    expect(limitHeaders(first.headers)).toEqual({
      'x-ratelimit-limit-requests': '2',
      'x-ratelimit-remaining-requests': '1',
      'x-ratelimit-reset-requests': '40s',
    });
    expect((await client.call('/v1/models')).headers.get('x-ratelimit-remaining-requests')).toBe('0');
    const refused = await client.call('/v1/files');
    expect(problemOf(refused)).toMatchObject({ status: 429, code: 'rate_limited' });
    expect(refused.headers.get('retry-after')).toBe('40');
    expect(refused.headers.get('x-ratelimit-remaining-requests')).toBe('0');
    expect(refused.headers.get('x-request-id')).toBeTruthy();
    now += 40_000;
    expect((await client.call('/v1/files')).status).toBe(200);
  });

  it('count over all isolates', async () => {
    await limit({ requestsPerMinute: 10 });
    await addUsage(db, client.tenant, 1_000_000, { requests: 9, tokens: 0 });
    expect((await client.call('/v1/models')).status).toBe(200);
    await expect.poll(async () => (await client.call('/v1/models')).status).toBe(429);
  });

  it('write no more than once in five seconds, however many they are', async () => {
    await limit({ requestsPerMinute: 1000 });
    let written = 0;
    const DB = new Proxy(env.DB, {
      get(database, name) {
        const value = Reflect.get(database, name);
        if (name !== 'prepare') return typeof value === 'function' ? value.bind(database) : value;
        return (sql: string) => {
          if (/^\s*(INSERT|UPDATE)/i.test(sql)) written++;
          return database.prepare(sql);
        };
      },
    });
    for (let i = 0; i < 20; i++) {
      const request = new Request('https://edge.test/v1/models', {
        headers: { authorization: `Bearer ${client.key}` },
      });
      const context = createExecutionContext();
      await app.fetch(request, { ...env, DB }, context);
      await waitOnExecutionContext(context);
      // The first of all notes the use of the key as well.
      if (i === 0) written = 0;
    }
    expect(written).toBe(0);
    now += 5_000;
    expect((await client.call('/v1/models')).status).toBe(200);
  });
});

describe('tokens in a minute', () => {
  it('are counted as the texts have them; what crosses the limit is answered, and the next refused', async () => {
    await makeReady(client, node, 'a');
    await limit({ tokensPerMinute: 10 });
    const first = await classify('six ch');
    expect(limitHeaders(first.headers)).toMatchObject({
      'x-ratelimit-limit-tokens': '10',
      'x-ratelimit-remaining-tokens': '4',
    });
    expect((await classify('eight ch')).status).toBe(200);
    const refused = await classify('x');
    expect(problemOf(refused)).toMatchObject({ status: 429, code: 'rate_limited' });
    expect(refused.headers.get('retry-after')).toBe('40');
    // What takes no tokens goes on.
    expect((await client.call('/v1/models')).headers.get('x-ratelimit-remaining-tokens')).toBe('0');
  });
});

describe('queued jobs', () => {
  it('are told in headers, and a tenant may have a limit of its own', async () => {
    await limit({ queuedJobs: 1 });
    const submit = (name: string) =>
      client.call('/v1/adapters', { json: { name, examples: EXAMPLES, base_model: node.baseModel } });
    const first = await submit('one');
    expect(first.status).toBe(202);
    expect(limitHeaders(first.headers)).toEqual({
      'x-ratelimit-limit-queued-jobs': '1',
      'x-ratelimit-remaining-queued-jobs': '0',
    });
    const refused = await submit('two');
    expect(problemOf(refused)).toMatchObject({ status: 429, code: 'queue_full' });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(refused.headers.get('x-ratelimit-limit-queued-jobs')).toBe('1');
    await client.call('/v1/adapters/one', { method: 'DELETE' });
  });
});

describe('stored bytes', () => {
  it('are told in headers, and beyond the limit the refusal names what to delete', async () => {
    const long = `${JSON.stringify({ text: 'x'.repeat(3_000), label: 'ham' })}\n`;
    const { id } = (await upload(long)).body;
    const size = EXAMPLES.map((row) => `${JSON.stringify(row)}\n`).join('').length + long.length;
    await limit({ storedBytes: size });
    for (const refused of [
      await upload(),
      await client.call('/v1/adapters', {
        json: { name: 'a', examples: EXAMPLES, base_model: node.baseModel },
      }),
    ]) {
      expect(problemOf(refused)).toMatchObject({ status: 409, code: 'storage_full' });
      expect(refused.headers.get('x-should-retry')).toBe('false');
      expect(refused.body.detail).toContain(`DELETE /v1/files/${id} (${size} bytes)`);
      expect(limitHeaders(refused.headers)).toMatchObject({
        'x-ratelimit-limit-stored-bytes': String(size),
        'x-ratelimit-remaining-stored-bytes': '0',
      });
    }
    await client.call(`/v1/files/${id}`, { method: 'DELETE' });
    expect((await upload()).status).toBe(201);
  });

  it('include adapters, and what an upload says that it brings', async () => {
    await makeReady(client, node, 'a');
    const { files } = (await client.call('/v1/adapters/a@1')).body;
    const bytes = files.reduce((sum: number, one: { bytes: number }) => sum + one.bytes, 0);
    await limit({ storedBytes: bytes + 2_000 });
    const refused = await upload(`${JSON.stringify({ text: 'x'.repeat(3_000), label: 'ham' })}\n`, {
      'content-length': '3500',
    });
    expect(problemOf(refused)).toMatchObject({ status: 409, code: 'storage_full' });
    expect(refused.body.detail).toContain(`DELETE /v1/adapters/a@1 (${bytes} bytes)`);
    expect((await upload()).status).toBe(201);
  });
});
