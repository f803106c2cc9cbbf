import { env, exports } from 'cloudflare:workers';
import { eq } from 'drizzle-orm';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { adapters } from '../../edge/db/schema.ts';
import { sha256Of } from '../../edge/hashing.ts';
import { attemptPrefix } from '../../edge/objects/object-keys.ts';
import { canonicalManifest, LAYOUTS, MAX_FILE_BYTES } from '../../shared/adapter-format.ts';
import type { JobLease } from '../../shared/api/nodes.ts';
import { CONTENT_TYPE, multipartBody } from '../support/multipart-body.ts';
import { EXAMPLES, makeReady, submit } from './support/adapters.ts';
import { type Client, call, callAsNode, db, makeTenant, NODE_SECRET, problemOf } from './support/api.ts';
import { bundleFiles, completion, serveNodes, TestNode } from './support/nodes.ts';

// Uploads near the limits take seconds where the machine is busy.
vi.setConfig({ testTimeout: 60_000 });

let client: Client;

beforeAll(async () => {
  client = await makeTenant();
});

async function uploadFile(rows: object[]): Promise<string> {
  const content = rows.map((row) => JSON.stringify(row)).join('\n');
  const body = multipartBody([
    { name: 'purpose', content: 'fine-tune' },
    { name: 'file', filename: 'rows.jsonl', content },
  ]);
  const headers = { 'content-type': CONTENT_TYPE };
  const answer = await client.call('/v1/files', { method: 'POST', headers, body });
  return answer.body.id;
}

/** Each job has a node and a base model of its own, so that no test leases another's. */
async function lease(extra: object = {}): Promise<JobLease & { node: TestNode }> {
  const node = await new TestNode().register();
  await submit(client, 'spam', { base_model: node.baseModel, ...extra });
  return { ...(await node.lease())!, node };
}

async function ready(name: string): Promise<string> {
  return makeReady(client, await new TestNode().register(), name);
}

/** The bytes of an answer, whatever type it claims. */
async function download(token: string, path: string, headers: Record<string, string> = {}) {
  const init = { headers: { authorization: `Bearer ${token}`, ...headers } };
  const response = await exports.default.fetch(new Request(`https://edge.test${path}`, init));
  const bytes = new Uint8Array(await response.arrayBuffer());
  const { status } = response;
  return { status, headers: response.headers, bytes, text: new TextDecoder().decode(bytes) };
}

function streamOf(chunks: Uint8Array[]): ReadableStream<Uint8Array> {
  const rest = chunks.values();
  return new ReadableStream({
    pull: (controller) => {
      const { done, value } = rest.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
}

const withToken = (token: string) => ({ headers: { 'x-lease-token': token } });
const parseRows = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

function put(
  { job_id, token }: JobLease,
  file: string,
  body: BodyInit,
  headers: Record<string, string> = {},
) {
  const path = `/internal/jobs/${job_id}/adapter/${file}`;
  return callAsNode(path, { method: 'PUT', body, headers: { 'x-lease-token': token, ...headers } });
}

describe('GET /internal/jobs/ID/files', () => {
  it('gives a lease’s holder the rows as JSONL, of files and of inline examples', async () => {
    const validation = EXAMPLES.slice(0, 3);
    const files = {
      training_file: await uploadFile(EXAMPLES),
      validation_file: await uploadFile(validation),
    };
    const leased = await lease({ ...files, examples: undefined });
    const read = ({ job_id, token }: JobLease, kind: string) =>
      download(NODE_SECRET, `/internal/jobs/${job_id}/files/${kind}`, { 'x-lease-token': token });
    const training = await read(leased, 'training');
    expect(parseRows(training.text)).toEqual(EXAMPLES);
    expect(training.headers.get('content-length')).toBe(String(training.text.length));
    expect(parseRows((await read(leased, 'validation')).text)).toEqual(validation);
    expect((await read(leased, 'other')).status).toBe(422);

    const inline = await lease();
    expect(parseRows((await read(inline, 'training')).text)).toEqual(EXAMPLES);
    const path = `/internal/jobs/${inline.job_id}/files/validation`;
    expect(problemOf(await callAsNode(path, withToken(inline.token)))).toMatchObject({
      code: 'file_not_found',
    });
  });

  it('refuses whoever holds no lease, and one that was lost', async () => {
    const leased = await lease();
    const path = `/internal/jobs/${leased.job_id}/files/training`;
    expect(problemOf(await callAsNode(path))).toMatchObject({ status: 422, param: 'x-lease-token' });
    expect(problemOf(await callAsNode(path, withToken('0'.repeat(32))))).toMatchObject({
      status: 409,
      code: 'lease_lost',
    });
    expect((await client.call(path, withToken(leased.token))).status).toBe(401);
    expect((await call(undefined, path, withToken(leased.token))).status).toBe(401);
    const unknown = await callAsNode('/internal/jobs/ftjob_none/files/training', withToken(leased.token));
    expect(problemOf(unknown)).toMatchObject({ status: 404, code: 'job_not_found' });
    await client.call(`/v1/fine_tuning/jobs/${leased.job_id}/cancel`, { method: 'POST' });
    expect(problemOf(await callAsNode(path, withToken(leased.token)))).toMatchObject({ code: 'lease_lost' });
  });
});

describe('PUT /internal/jobs/ID/adapter/FILE', () => {
  it('stores an attempt’s files, which then complete the job', async () => {
    const leased = await lease();
    const manifest = [];
    const files = bundleFiles(leased);
    for (const name of LAYOUTS.peft.files) {
      const bytes = files[name];
      const { status, body } = await put(leased, name, bytes as Uint8Array<ArrayBuffer>);
      expect([status, body]).toEqual([200, { name, bytes: bytes.byteLength, sha256: await sha256Of(bytes) }]);
      manifest.push(body);
    }
    const done = await callAsNode(`/internal/jobs/${leased.job_id}/complete`, {
      json: completion(leased, manifest),
    });
    expect(done.status).toBe(200);
    expect((await client.call(`/v1/adapters/${leased.adapter}`)).body.status).toBe('ready');
  });

  it('streams weights of several parts, with and without a length', async () => {
    const leased = await lease();
    const block = crypto.getRandomValues(new Uint8Array(65536));
    const whole = new Uint8Array(block.byteLength * 140);
    for (let i = 0; i < 140; i++) whole.set(block, i * block.byteLength);
    const sha256 = await sha256Of(whole);
    for (const body of [whole, streamOf(Array.from({ length: 140 }, () => block))]) {
      const answer = await put(leased, 'adapter_model.safetensors', body);
      expect(answer.body).toEqual({ name: 'adapter_model.safetensors', bytes: whole.byteLength, sha256 });
    }
    const key = `${attemptPrefix(leased.job_id, leased.attempt)}adapter_model.safetensors`;
    expect(await sha256Of(await (await env.BUCKET.get(key))!.bytes())).toBe(sha256);
  });

  it('bounds each file, whether or not its length is declared', async () => {
    const leased = await lease();
    const tooMuch = MAX_FILE_BYTES['adapter_config.json'] + 1;
    const key = `${attemptPrefix(leased.job_id, leased.attempt)}adapter_config.json`;
    const streamed = streamOf([new Uint8Array(tooMuch)]);
    for (const [body, headers] of [
      [streamed, {}],
      ['x', { 'content-length': String(tooMuch) }],
    ] as const) {
      const answer = await put(leased, 'adapter_config.json', body, headers);
      expect(problemOf(answer)).toMatchObject({ status: 413, code: 'payload_too_large' });
      expect(await env.BUCKET.head(key)).toBeNull();
    }
    expect(problemOf(await put(leased, 'other.bin', 'x'))).toMatchObject({ status: 422, param: 'file' });
  });

  it('keeps a stale node from overwriting a later attempt’s file', async () => {
    const stale = await lease();
    const retry = { code: 'internal_error', message: 'lost' };
    await callAsNode(`/internal/jobs/${stale.job_id}/fail`, {
      json: { token: stale.token, error: retry, retryable: true, events: [] },
    });
    const current = (await stale.node.lease())!;
    expect([current.job_id, current.attempt]).toEqual([stale.job_id, 2]);
    expect((await put(current, 'weft.json', 'new')).status).toBe(200);
    expect(problemOf(await put(stale, 'weft.json', 'old'))).toMatchObject({ code: 'lease_lost' });
    const stored = await env.BUCKET.get(`${attemptPrefix(current.job_id, 2)}weft.json`);
    expect(await stored!.text()).toBe('new');
  });
});

describe('GET /internal/adapters/BUNDLE', () => {
  it('gives the manifest and the files by content, until the adapter is deleted', async () => {
    const id = await ready('fetched');
    const [row] = await db.select().from(adapters).where(eq(adapters.name, 'fetched'));
    const path = `/internal/adapters/${row!.bundle}`;
    const { status, body } = await callAsNode(path);
    expect([status, body.bundle]).toEqual([200, row!.bundle]);
    expect(await sha256Of(canonicalManifest(body.manifest))).toBe(row!.bundle);
    for (const { name, sha256 } of body.manifest) {
      const file = await download(NODE_SECRET, `${path}/files/${name}`);
      expect(await sha256Of(file.bytes)).toBe(sha256);
      expect(file.headers.get('content-length')).toBe(String(file.bytes.byteLength));
    }
    expect((await client.call(path)).status).toBe(401);
    expect(problemOf(await callAsNode(`${path}/files/other`))).toMatchObject({ status: 422 });
    expect(problemOf(await callAsNode('/internal/adapters/nothing'))).toMatchObject({ status: 422 });
    const nodes = serveNodes(() => Response.json({}));
    await client.call(`/v1/adapters/${id}`, { method: 'DELETE' });
    nodes.restore();
    for (const gone of [path, `${path}/files/weft.json`]) {
      expect(problemOf(await callAsNode(gone))).toMatchObject({ status: 404, code: 'adapter_not_found' });
    }
  });
});

describe('GET /v1/adapters/ID/files/FILE', () => {
  it('downloads a ready adapter’s files, to its tenant alone', async () => {
    const id = await ready('downloaded');
    const file = await download(client.key, `/v1/adapters/${id}/files/adapter_model.safetensors`);
    expect(file.status).toBe(200);
    expect(file.headers.get('content-type')).toBe('application/octet-stream');
    expect(file.headers.get('content-disposition')).toBe('attachment; filename="adapter_model.safetensors"');
    expect(file.headers.get('content-length')).toBe(String(file.bytes.byteLength));
    const shown = (await client.call(`/v1/adapters/${id}`)).body;
    expect(file.headers.get('etag')).toBe(`"${shown.sha256}"`);
    expect(await sha256Of(file.bytes)).toBe(shown.sha256);

    const path = '/v1/adapters/downloaded/files/adapter_model.safetensors';
    const again = await client.call(path, { headers: { 'if-none-match': file.headers.get('etag')! } });
    expect([again.status, again.body]).toEqual([304, '']);

    const stranger = await makeTenant();
    for (const [who, wanted, status] of [
      [stranger, path, 404],
      [client, '/v1/adapters/nothing/files/weft.json', 404],
      [client, '/v1/adapters/..%2Fdownloaded/files/weft.json', 404],
      [client, '/v1/adapters/downloaded/files/..%2Fweft.json', 422],
    ] as const) {
      expect((await who.call(wanted)).status).toBe(status);
    }
  });

  it('says that an adapter is not ready', async () => {
    const id = (await lease()).adapter;
    const answer = await client.call(`/v1/adapters/${id}/files/adapter_config.json`);
    expect(problemOf(answer)).toMatchObject({ status: 409, code: 'adapter_not_ready' });
  });
});
