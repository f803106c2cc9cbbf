import { env } from 'cloudflare:workers';
import { describe, expect, it } from 'vitest';
import { unixNow } from '../../edge/clock.ts';
import { objects } from '../../edge/db/schema.ts';
import { sweepObjects } from '../../edge/objects/delete-objects.ts';
import { CONTENT_TYPE, multipartBody } from '../support/multipart-body.ts';
import { type Answer, type Client, db, makeTenant, problemOf } from './support/api.ts';

function upload(client: Client, content: string, invalidRows = 'refuse'): Promise<Answer> {
  const parts = [
    { name: 'purpose', content: 'fine-tune' },
    { name: 'invalid_rows', content: invalidRows },
    { name: 'file', filename: 'a.csv', content },
  ];
  const headers = { 'content-type': CONTENT_TYPE };
  return client.call('/v1/files', { method: 'POST', headers, body: multipartBody(parts) });
}

const SOUND = 'text,label\nbuy now,spam\nsee you,ham\nbuy now,spam\nsee you,spam\nwin,Spam\n';
const withBad = (rows: number) => SOUND + ',spam\n'.repeat(rows);
const linesOf = ({ body }: Answer) =>
  body
    .trimEnd()
    .split('\n')
    .map((line: string) => JSON.parse(line));
const stored = async () => (await env.BUCKET.list()).objects.map(({ key }) => key);

describe('the report of a file', () => {
  it('comes with the upload, with the file, in lists, and alone', async () => {
    const client = await makeTenant();
    const { status, body } = await upload(client, SOUND);
    expect(status).toBe(201);
    expect(body.report).toMatchObject({
      rows: 5,
      duplicates: { rows: 1, lines: [4] },
      contradictions: { texts: 1, rows: 2, examples: [{ text: 'see you' }] },
      near_twin_labels: [
        [
          { label: 'spam', rows: 3 },
          { label: 'Spam', rows: 1 },
        ],
      ],
      too_long: { rows: 0, lines: [], tokens: 512 },
      lengths: { shortest: 3, longest: 7 },
      leaks: null,
      is_complete: true,
    });
    expect((await client.call(`/v1/files/${body.id}`)).body).toEqual(body);
    expect((await client.call('/v1/files')).body.data).toEqual([body]);
    const alone = (await client.call(`/v1/files/${body.id}/report`)).body;
    expect(alone).toEqual({ ...body.report, labels: { spam: 3, ham: 1, Spam: 1 } });
  });

  it('beside a validation file tells which of its rows are trained on', async () => {
    const client = await makeTenant();
    const training = (await upload(client, SOUND)).body;
    const validation = (await upload(client, 'text,label\nnew,ham\nsee you,ham\nbuy now,spam\n')).body;
    const path = `/v1/files/${training.id}/report?validation_file=${validation.id}`;
    const { status, body } = await client.call(path);
    expect(status).toBe(200);
    expect(body.leaks).toEqual({ validation_file: validation.id, rows: 2, lines: [2, 3] });
    expect({ ...body, leaks: null }).toEqual({ ...training.report, labels: training.labels });
  });

  it('is its tenant’s alone, and so is the validation file', async () => {
    const [client, stranger] = [await makeTenant(), await makeTenant()];
    const [own, foreign] = [(await upload(client, SOUND)).body.id, (await upload(stranger, SOUND)).body.id];
    const ask = async (id: string, query = '') =>
      problemOf(await client.call(`/v1/files/${id}/report${query}`));
    expect(await ask(foreign)).toMatchObject({ status: 404, code: 'file_not_found' });
    expect(await ask(own, `?validation_file=${foreign}`)).toEqual({
      status: 404,
      code: 'file_not_found',
      param: 'validation_file',
    });
    expect(await ask(own, '?validation_file=x')).toMatchObject({ status: 422, code: 'invalid_request' });
  });
});

describe('all bad rows of an upload', () => {
  it('are listed for an hour where it is refused, to its tenant alone', async () => {
    const [client, stranger] = [await makeTenant(), await makeTenant()];
    const answer = await upload(client, withBad(400));
    expect(problemOf(answer)).toEqual({ status: 422, code: 'invalid_dataset', param: 'file' });
    const { errors, total_errors, errors_url, detail } = answer.body;
    expect([errors.length, total_errors]).toEqual([20, 400]);
    expect(errors_url).toMatch(/^\/v1\/files\/file_[0-9a-f]+\/errors$/);
    expect(detail).toContain(`GET ${errors_url} lists all bad lines for 60 minutes`);
    const list = linesOf(await client.call(errors_url));
    expect(list).toHaveLength(400);
    expect(list.slice(0, 20)).toEqual(errors);
    expect(list.at(-1)).toEqual({ line: 406, message: 'text is empty' });
    expect((await stranger.call(errors_url)).status).toBe(404);
    expect((await client.call(errors_url.replace('/errors', ''))).status).toBe(404);
    await sweepObjects(env, db, unixNow() + 3590);
    expect((await client.call(errors_url)).status).toBe(200);
    await sweepObjects(env, db, unixNow() + 3610);
    expect((await client.call(errors_url)).status).toBe(404);
  });

  it('stand in the refusal itself where they are few, which leaves nothing behind', async () => {
    const client = await makeTenant();
    const before = await stored();
    const { body } = await upload(client, withBad(20));
    expect([body.errors.length, body.errors_url]).toEqual([20, undefined]);
    expect(await stored()).toEqual(before);
  });

  it('are listed with the file where they are left out, and go with it', async () => {
    const client = await makeTenant();
    const before = await stored();
    const { body } = await upload(client, withBad(30), 'skip');
    expect(body.skipped).toMatchObject({ count: 30 });
    const path = `/v1/files/${body.id}/errors`;
    await sweepObjects(env, db, unixNow() + 4000);
    const answer = await client.call(path);
    expect(linesOf(answer)).toHaveLength(30);
    expect(answer.headers.get('content-type')).toBe('application/jsonl');
    const etag = answer.headers.get('etag')!;
    expect((await client.call(path, { headers: { 'if-none-match': etag } })).status).toBe(304);
    expect((await (await makeTenant()).call(path)).status).toBe(404);
    expect((await client.call(`/v1/files/${body.id}`, { method: 'DELETE' })).status).toBe(200);
    expect((await client.call(path)).status).toBe(404);
    expect(await stored()).toEqual(before);
    expect((await db.select().from(objects)).filter(({ key }) => key.includes(body.id))).toEqual([]);
  });

  it('are none of a sound file, or of an unknown one', async () => {
    const client = await makeTenant();
    const { id } = (await upload(client, SOUND, 'skip')).body;
    const { status, body } = await client.call(`/v1/files/${id}/errors`);
    expect([status, body]).toEqual([200, '']);
    for (const unknown of ['file_0', 'x', '..%2Ffiles']) {
      expect((await client.call(`/v1/files/${unknown}/errors`)).status).toBe(404);
    }
  });
});
