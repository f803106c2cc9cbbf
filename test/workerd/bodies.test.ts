import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { app } from '../../edge/app.ts';
import { CONTENT_TYPE, multipartBody } from '../support/multipart-body.ts';
import { EXAMPLES } from './support/adapters.ts';
import { type Client, makeTenant, problemOf } from './support/api.ts';
import { gzip } from './support/gzip.ts';
import { TestNode } from './support/nodes.ts';

let client: Client;
beforeAll(async () => {
  client = await makeTenant();
  await new TestNode().register();
});

const json = (name: string) => JSON.stringify({ name, examples: EXAMPLES });
const rows = EXAMPLES.map((row) => `${JSON.stringify(row)}\n`).join('');
const form = multipartBody([
  { name: 'purpose', content: 'fine-tune' },
  { name: 'file', filename: 'a.jsonl', content: rows },
]);

function post(path: string, contentType: string, body: BodyInit, headers: Record<string, string> = {}) {
  return client.call(path, { method: 'POST', body, headers: { 'content-type': contentType, ...headers } });
}

describe('a content type', () => {
  it.each([
    'application/json',
    'application/json ; charset=utf-8',
    'application/json;',
    'application/json; charset="UTF-8"',
    'Application/JSON;charset=utf8;',
  ])('may be written as %s', async (contentType) => {
    expect((await post('/v1/adapters', contentType, json('typed'))).status).toBe(202);
  });

  it.each([
    CONTENT_TYPE.replace('; ', ' ; '),
    `${CONTENT_TYPE}; charset=utf-8`,
    CONTENT_TYPE.replace('form', 'Form'),
  ])('of an upload may be written as %s', async (contentType) => {
    expect((await post('/v1/files', contentType, form)).status).toBe(201);
  });

  it('that is none of the route’s, or another charset than UTF-8, is refused', async () => {
    for (const type of ['text/plain', 'application/jsonx', 'application/json; charset=latin1', ';']) {
      const answer = await post('/v1/adapters', type, json('typed'));
      expect(problemOf(answer)).toMatchObject({ status: 415, code: 'unsupported_media_type' });
    }
  });
});

describe('a compressed body', () => {
  const gzipped = { 'content-encoding': 'gzip' };

  it('is read, as JSON and as a form', async () => {
    const made = await post('/v1/adapters', 'application/json', await gzip(json('zipped')), gzipped);
    expect([made.status, made.body.name]).toEqual([202, 'zipped']);
    const stored = await post('/v1/files', CONTENT_TYPE, await gzip(form), gzipped);
    expect([stored.status, stored.body.examples]).toEqual([201, EXAMPLES.length]);
    expect(stored.body.bytes).toBe(rows.length);
    const plain = await post('/v1/adapters', 'application/json', json('plain'), {
      'content-encoding': 'identity',
    });
    expect(plain.status).toBe(202);
  });

  it('in another coding is refused by the name of those that are read', async () => {
    for (const [path, type, body] of [
      ['/v1/adapters', 'application/json', json('brotli')],
      ['/v1/files', CONTENT_TYPE, form],
    ] as const) {
      for (const coding of ['br', 'gzip, gzip', 'zstd']) {
        const answer = await post(path, type, body, { 'content-encoding': coding });
        expect(problemOf(answer)).toMatchObject({ status: 415, code: 'unsupported_media_type' });
        expect(answer.body.detail).toMatch(/gzip/);
        expect(answer.headers.get('accept-encoding')).toBe('gzip, identity');
      }
    }
  });

  it('that is broken or no gzip is malformed', async () => {
    const whole = await gzip(json('broken'));
    for (const body of [whole.subarray(0, -9), json('broken'), new Uint8Array(0), whole.with(12, 0xff)]) {
      const answer = await post('/v1/adapters', 'application/json', body, gzipped);
      expect(problemOf(answer)).toMatchObject({ status: 400 });
    }
    const upload = await post('/v1/files', CONTENT_TYPE, (await gzip(form)).subarray(0, -9), gzipped);
    expect(problemOf(upload)).toMatchObject({ status: 400, code: 'malformed_body' });
  });

  it('is expanded no further than a plain one is read', async () => {
    // 1 GiB of blanks comes to about 1 MB.
    const sent = { bytes: 0 };
    const chunk = new Uint8Array(1024 * 1024).fill(32);
    const bomb = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        if (sent.bytes === 1024 * chunk.byteLength) return controller.close();
        controller.enqueue(chunk);
        sent.bytes += chunk.byteLength;
      },
    });
    const answer = await post(
      '/v1/classify',
      'application/json',
      bomb.pipeThrough(new CompressionStream('gzip')),
      gzipped,
    );
    expect(problemOf(answer)).toMatchObject({ status: 413, code: 'payload_too_large' });
    expect(sent.bytes).toBeLessThan(256 * 1024 * 1024);
  });
});

describe('a body that breaks off', () => {
  it.each(['application/json', CONTENT_TYPE])(
    'of %s is the client’s to mend, not the database’s',
    async (type) => {
      const body = new ReadableStream({
        start: (controller) => controller.enqueue(new TextEncoder().encode('{"input":')),
        // What workerd says of a client that hangs up, and D1 of a database that does not answer.
        pull: (controller) => controller.error(new Error('Network connection lost.')),
      });
      const path = type === CONTENT_TYPE ? '/v1/files' : '/v1/classify';
      const headers = { authorization: `Bearer ${client.key}`, 'content-type': type };
      // Within one isolate, so that the stream's error is what the route meets.
      const answer = await app.request(path, { method: 'POST', headers, body }, env);
      expect(await answer.json()).toMatchObject({ status: 400, error: { code: 'malformed_body' } });
    },
  );
});
