import { env } from 'cloudflare:workers';
import { describe, expect, it, vi } from 'vitest';
import { files, jobs, objects } from '../../edge/db/schema.ts';
import { MAX_UPLOAD_BYTES } from '../../shared/api/datasets.ts';
import {
  BOUNDARY,
  CONTENT_TYPE,
  concat,
  multipartBody,
  partHeader,
  type TestPart,
} from '../support/multipart-body.ts';
import { type Answer, type Client, db, makeTenant, problemOf } from './support/api.ts';
import { gzip } from './support/gzip.ts';

// Uploads near the limits take seconds where the machine is busy.
vi.setConfig({ testTimeout: 60_000 });

const GOOD = '{"text":"buy now","label":"spam"}\n{"text":"see you","label":"ham"}\n';
const PURPOSE: TestPart = { name: 'purpose', content: 'fine-tune' };

const file = (content: string | Uint8Array, filename = 'a.jsonl'): TestPart => ({
  name: 'file',
  filename,
  content,
});
const upload = (client: Client, content: string | Uint8Array) => send(client, [PURPOSE, file(content)]);

function send(client: Client, parts: TestPart[]): Promise<Answer> {
  const headers = { 'content-type': CONTENT_TYPE };
  return client.call('/v1/files', { method: 'POST', headers, body: multipartBody(parts) });
}

/** Everything that a refused upload could leave. */
async function leftovers() {
  const { objects: stored } = await env.BUCKET.list();
  const pending = (await db.select().from(objects)).filter((row) => row.uploadId !== null);
  const isOpen = async (row: (typeof pending)[number]) => {
    const upload = env.BUCKET.resumeMultipartUpload(row.key, row.uploadId!);
    return upload.uploadPart(1, new Uint8Array(1)).then(
      () => true,
      () => false,
    );
  };
  const open = await Promise.all(pending.map(isOpen));
  return { stored: stored.length, files: await db.$count(files), open: open.filter(Boolean).length };
}

/** A multipart body of `bytes` bytes of rows, made as it is read; `sent` counts what was. */
function endlessUpload(bytes: number) {
  const row = new TextEncoder().encode(`{"text":"${'x'.repeat(8000)}","label":"spam"}\n`.repeat(32));
  const sent = { bytes: 0 };
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode(partHeader('file', 'big.jsonl'))),
    pull: (controller) => {
      if (sent.bytes >= bytes) {
        controller.enqueue(new TextEncoder().encode(`\r\n--${BOUNDARY}--\r\n`));
        controller.close();
        return;
      }
      sent.bytes += row.byteLength;
      controller.enqueue(row);
    },
  });
  return { body, sent };
}

/** A text with its byte order mark. */
function utf16(text: string, littleEndian: boolean): Uint8Array {
  const view = new DataView(new ArrayBuffer(2 * text.length + 2));
  for (const [i, unit] of `\ufeff${text}`.split('').entries()) {
    view.setUint16(2 * i, unit.charCodeAt(0), littleEndian);
  }
  return new Uint8Array(view.buffer);
}

describe('POST /v1/files', () => {
  it('stores a CSV as JSONL and answers what it holds', async () => {
    const client = await makeTenant();
    const csv = '\ufefftext,label\r\n"two\r\nlines, ""quoted""",1\r\nשלום 你好 🎉,2\r\nplain,1\r\n';
    const { status, body, headers } = await send(client, [file(csv, 'C:\\data\\täst.csv'), PURPOSE]);
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.stringMatching(/^file_[0-9a-f]{24}$/),
      object: 'file',
      filename: 'täst.csv',
      bytes: new TextEncoder().encode(csv).byteLength,
      purpose: 'fine-tune',
      status: 'processed',
      created_at: expect.any(Number),
      examples: 3,
      labels: { 1: 2, 2: 1 },
      warnings: [expect.stringContaining('"2": a single example')],
      skipped: { count: 0, lines: [] },
      report: expect.objectContaining({ rows: 3 }),
    });
    expect(headers.get('content-type')).toContain('application/json');
    const stored = await env.BUCKET.get(`files/${body.id}.jsonl`);
    const rows = (await stored!.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(rows[0]).toEqual({ text: 'two\r\nlines, "quoted"', label: '1' });
    expect(rows[1]).toEqual({ text: 'שלום 你好 🎉', label: '2' });
  });

  it('gives its rows back as they are trained on, to its tenant alone', async () => {
    const client = await makeTenant();
    const { body } = await send(client, [file('text;label\n a b ; spam \nc;ham\n', 'table.csv'), PURPOSE]);
    const path = `/v1/files/${body.id}/content`;
    const download = await client.call(path);
    expect(download.headers.get('content-type')).toBe('application/jsonl');
    expect(download.body).toBe('{"text":" a b ","label":"spam"}\n{"text":"c","label":"ham"}\n');
    const etag = download.headers.get('etag')!;
    expect((await client.call(path, { headers: { 'if-none-match': etag } })).status).toBe(304);
    const stranger = await makeTenant();
    expect((await stranger.call(path)).status).toBe(404);
  });

  it('takes the body that fetch makes of FormData, as OpenAI’s client sends it', async () => {
    const client = await makeTenant();
    const form = new FormData();
    form.append('purpose', 'fine-tune');
    form.append('file', new File([GOOD], 'train.jsonl', { type: 'application/jsonl' }));
    const { status, body } = await client.call('/v1/files', { method: 'POST', body: form });
    expect(status).toBe(201);
    expect(body).toMatchObject({ filename: 'train.jsonl', examples: 2, labels: { spam: 1, ham: 1 } });
  });

  it('reads what Excel saves: semicolons, all in quotes, and UTF-16 with a byte order mark', async () => {
    const client = await makeTenant();
    const csv = '"text";"label"\r\n"a, ""b"" שלום 🎉";"x"\r\n"c";"y"\r\n;\r\n;\r\n';
    for (const content of [csv, utf16(csv, true), utf16(csv, false)]) {
      const { status, body } = await send(client, [file(content), PURPOSE]);
      expect([status, body.examples, body.labels]).toEqual([201, 2, { x: 1, y: 1 }]);
      const stored = await env.BUCKET.get(`files/${body.id}.jsonl`);
      expect((await stored!.text()).split('\n')[0]).toBe('{"text":"a, \\"b\\" שלום 🎉","label":"x"}');
    }
  });

  it('takes a gzipped file, and refuses one that bursts or is broken', async () => {
    const client = await makeTenant();
    const packed = await gzip(new TextEncoder().encode(GOOD));
    const { status, body } = await send(client, [PURPOSE, file(packed, 'train.jsonl.gz')]);
    expect([status, body.examples, body.bytes]).toEqual([201, 2, packed.byteLength]);
    expect((await client.call(`/v1/files/${body.id}/content`)).body).toBe(GOOD);
    const before = await leftovers();
    const bomb = await gzip(new Uint8Array(MAX_UPLOAD_BYTES + 1024).fill(0x20));
    const burst = await send(client, [PURPOSE, file(bomb)]);
    expect(problemOf(burst)).toEqual({ status: 413, code: 'payload_too_large', param: 'file' });
    for (const broken of [packed.slice(0, -4), concat([packed, packed])]) {
      const answer = await send(client, [PURPOSE, file(broken)]);
      expect(problemOf(answer)).toEqual({ status: 422, code: 'invalid_dataset', param: 'file' });
      expect(answer.body.detail).toContain('broken gzip');
    }
    expect(await leftovers()).toEqual(before);
  });

  it('reads the columns that are named before the file, and refuses names that come too late', async () => {
    const client = await makeTenant();
    const columns = [
      { name: 'text_column', content: 'review' },
      { name: 'label_column', content: 'stars' },
    ];
    const table = file('id;Review;Stars\n1;good;5\n2;bad;1\n');
    const { status, body } = await send(client, [PURPOSE, ...columns, table]);
    expect([status, body.labels]).toEqual([201, { 5: 1, 1: 1 }]);
    expect((await client.call(`/v1/files/${body.id}/content`)).body).toContain('{"text":"good","label":"5"}');
    const late = await send(client, [PURPOSE, columns[1]!, file('text,stars\na,5\n'), columns[0]!]);
    expect(problemOf(late)).toEqual({ status: 422, code: 'invalid_request', param: 'text_column' });
    const empty = await send(client, [PURPOSE, { name: 'text_column', content: '' }, table]);
    expect(problemOf(empty)).toEqual({ status: 422, code: 'invalid_request', param: 'text_column' });
  });

  describe.each([
    ['before the file', (fields: TestPart[], content: string) => [...fields, file(content)]],
    ['after it', (fields: TestPart[], content: string) => [file(content), ...fields]],
  ])('told by invalid_rows, %s, what to do with invalid rows,', (_, partsOf) => {
    const rows = Array.from({ length: 300 }, (_row, at) => `{"text":"t${at}","label":"${at % 2}"}`);
    const withBad = rows.with(3, '{"text":" ","label":"0"}').with(290, '{"text":"a"}').join('\n');
    const told = (way: string) => partsOf([PURPOSE, { name: 'invalid_rows', content: way }], withBad);

    it('leaves them out, says which, and stores the others', async () => {
      const client = await makeTenant();
      const { status, body } = await send(client, told('skip'));
      expect([status, body.examples]).toEqual([201, 298]);
      expect(body.skipped).toEqual({ count: 2, lines: [4, 291] });
      expect(body.warnings).toEqual(['2 invalid rows are left out; line 4: text is empty.']);
      expect((await client.call(`/v1/files/${body.id}`)).body).toEqual(body);
      const stored = await env.BUCKET.get(`files/${body.id}.jsonl`);
      const kept = rows.filter((_row, at) => at !== 3 && at !== 290).join('\n');
      expect(await stored!.text()).toBe(`${kept}\n`);
    });

    it('refuses the file and leaves nothing behind', async () => {
      const client = await makeTenant();
      const before = await leftovers();
      const answer = await send(client, told('refuse'));
      expect(problemOf(answer)).toEqual({ status: 422, code: 'invalid_dataset', param: 'file' });
      expect(answer.body.detail).toContain('invalid_rows=skip');
      expect(problemOf(await send(client, told('ignore')))).toEqual({
        status: 422,
        code: 'invalid_request',
        param: 'invalid_rows',
      });
      expect(await leftovers()).toEqual(before);
    });
  });

  it('stores a file of several parts, byte for byte', async () => {
    const client = await makeTenant();
    const rows = Array.from(
      { length: 3000 },
      (_, at) => `${JSON.stringify({ text: `${at} ${'é'.repeat(4000)}`, label: `${at % 2}` })}\n`,
    );
    const content = rows.join('');
    const { status, body } = await upload(client, content);
    expect([status, body.examples, body.warnings]).toEqual([201, 3000, []]);
    expect(body.bytes).toBeGreaterThan(2 * 8 * 1024 * 1024);
    const stored = await env.BUCKET.get(`files/${body.id}.jsonl`);
    expect((await stored!.text()) === content).toBe(true);
    const [row] = (await db.select().from(objects)).filter(({ key }) => key === `files/${body.id}.jsonl`);
    expect(row).toMatchObject({ bytes: stored!.size, uploadId: null, expiresAt: null });
    expect(row!.sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  describe('given a bad upload, leaves nothing behind and', () => {
    const rows5000 = Array.from({ length: 5000 }, (_, at) => `{"text":"t${at}","label":"${at % 2}"}`);
    const badRow = rows5000.with(4126, '{"text":"t",').join('\n');
    const notUtf8 = new Uint8Array([...new TextEncoder().encode(GOOD), 0xc3, 0x28, 0x0a]);
    const tenMegabytes = `${GOOD}{"text":"${'x'.repeat(10 * 1024 * 1024)}","label":"spam"}\n`;

    it.each([
      [
        'names line 4,127 and why',
        [PURPOSE, file(badRow)],
        'invalid_dataset',
        'file',
        [[4127, 'not valid JSON']],
      ],
      [
        'names the columns a CSV lacks',
        [PURPOSE, file('a,b\n1,2\n')],
        'invalid_dataset',
        'file',
        [[1, 'columns "text" and "label"']],
      ],
      ['refuses an empty file', [PURPOSE, file('')], 'invalid_dataset', 'file', []],
      [
        'names an empty text',
        [PURPOSE, file(`${GOOD}{"text":"","label":"a"}\n`)],
        'invalid_dataset',
        'file',
        [[3, 'text is empty']],
      ],
      ['names a line that is not UTF-8', [PURPOSE, file(notUtf8)], 'invalid_dataset', 'file', [[3, 'UTF-8']]],
      ['names a 10 MB text', [PURPOSE, file(tenMegabytes)], 'invalid_dataset', 'file', [[3, 'longer than']]],
      [
        'names a spreadsheet',
        [
          PURPOSE,
          file(new TextEncoder().encode('PK\u0003\u0004'.padEnd(30, '\0').concat('xl/workbook.xml'))),
        ],
        'invalid_dataset',
        'file',
        [],
      ],
      ['asks for the file', [PURPOSE], 'invalid_request', 'file', undefined],
      ['asks for the purpose', [file(GOOD)], 'invalid_request', 'purpose', undefined],
      [
        'refuses another purpose after the file',
        [file(GOOD), { name: 'purpose', content: 'batch' }],
        'invalid_request',
        'purpose',
        undefined,
      ],
      ['refuses two files', [file(GOOD), PURPOSE, file(GOOD)], 'invalid_request', 'file', undefined],
      [
        'refuses a field named file',
        [PURPOSE, { name: 'file', content: GOOD }],
        'invalid_request',
        'file',
        undefined,
      ],
    ] as const)('%s', async (_, parts, code, param, errors) => {
      const client = await makeTenant();
      const before = await leftovers();
      const answer = await send(client, [...parts]);
      expect(problemOf(answer)).toEqual({ status: 422, code, param });
      const shown = answer.body.errors?.map(({ line, message }: { line: number; message: string }) => [
        line,
        message,
      ]);
      expect(shown ?? []).toEqual((errors ?? []).map(([line, why]) => [line, expect.stringContaining(why)]));
      expect(await leftovers()).toEqual(before);
    });
  });

  it('refuses other content types, and bodies that are not what they say', async () => {
    const client = await makeTenant();
    const before = await db.$count(files);
    expect(problemOf(await client.call('/v1/files', { json: {} }))).toMatchObject({ status: 415 });
    const call = (headers: Record<string, string>, body: string) =>
      client.call('/v1/files', { method: 'POST', headers, body });
    expect(problemOf(await call({ 'content-type': 'text/csv' }, GOOD))).toMatchObject({ status: 415 });
    for (const [type, body] of [
      ['multipart/form-data', GOOD],
      [CONTENT_TYPE, ''],
      [CONTENT_TYPE, GOOD],
      [CONTENT_TYPE, new TextDecoder().decode(multipartBody([file(GOOD)])).slice(0, -10)],
    ] as const) {
      expect(problemOf(await call({ 'content-type': type }, body))).toMatchObject({
        status: 400,
        code: 'malformed_body',
      });
    }
    expect(await db.$count(files)).toBe(before);
  });

  it('refuses 200 MB with a Content-Length before reading them', async () => {
    const client = await makeTenant();
    const { body, sent } = endlessUpload(200 * 1024 * 1024);
    const headers = { 'content-type': CONTENT_TYPE, 'content-length': String(200 * 1024 * 1024) };
    const before = await leftovers();
    const answer = await client.call('/v1/files', { method: 'POST', headers, body });
    expect(problemOf(answer)).toEqual({ status: 413, code: 'payload_too_large', param: 'file' });
    expect(sent.bytes).toBeLessThan(1024 * 1024);
    expect(await leftovers()).toEqual(before);
  });

  it('refuses 200 MB without a Content-Length at the limit, and drops what it has stored', async () => {
    const client = await makeTenant();
    const { body, sent } = endlessUpload(200 * 1024 * 1024);
    const before = await leftovers();
    const answer = await client.call('/v1/files', {
      method: 'POST',
      headers: { 'content-type': CONTENT_TYPE },
      body,
    });
    expect(problemOf(answer)).toEqual({ status: 413, code: 'payload_too_large', param: 'file' });
    expect(sent.bytes).toBeLessThan(MAX_UPLOAD_BYTES + 2 * 1024 * 1024);
    expect(await leftovers()).toEqual(before);
  });
});

describe('GET and DELETE /v1/files', () => {
  it('lists a tenant’s own files, newest first, by cursor', async () => {
    const [client, other] = [await makeTenant(), await makeTenant()];
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) ids.push((await upload(client, GOOD)).body.id);
    const foreign = (await upload(other, GOOD)).body.id;
    const first = await client.call('/v1/files?limit=2');
    expect(first.body.data.map((row: { id: string }) => row.id)).toEqual([ids[2], ids[1]]);
    expect(first.body).toMatchObject({ object: 'list', has_more: true, first_id: ids[2], last_id: ids[1] });
    const second = await client.call(`/v1/files?limit=2&after=${ids[1]}`);
    expect(second.body).toMatchObject({ has_more: false, first_id: ids[0], last_id: ids[0] });
    expect((await client.call(`/v1/files/${ids[0]}`)).body).toEqual(second.body.data[0]);
    for (const path of [`/v1/files/${foreign}`, '/v1/files/nothing', `/v1/files?after=${foreign}`]) {
      expect(problemOf(await client.call(path))).toMatchObject({ status: 404, code: 'file_not_found' });
    }
    const deletion = await client.call(`/v1/files/${foreign}`, { method: 'DELETE' });
    expect(problemOf(deletion)).toMatchObject({ status: 404, code: 'file_not_found' });
    expect((await other.call(`/v1/files/${foreign}`)).status).toBe(200);
  });

  it('deletes a file and what it stored, once', async () => {
    const client = await makeTenant();
    const { id } = (await upload(client, GOOD)).body;
    const { status, body } = await client.call(`/v1/files/${id}`, { method: 'DELETE' });
    expect([status, body]).toEqual([200, { id, object: 'file', deleted: true }]);
    expect(await env.BUCKET.head(`files/${id}.jsonl`)).toBeNull();
    expect((await db.select().from(objects)).some(({ key }) => key.includes(id))).toBe(false);
    expect((await client.call(`/v1/files/${id}`)).status).toBe(404);
    expect((await client.call(`/v1/files/${id}`, { method: 'DELETE' })).status).toBe(404);
  });

  it.each(['trainingFile', 'validationFile'] as const)(
    'keeps a file that an unfinished job needs as %s',
    async (column) => {
      const client = await makeTenant();
      const { id } = (await upload(client, GOOD)).body;
      await db.insert(jobs).values({
        id: `ftjob_${id.slice(5)}`,
        tenant: client.tenant,
        adapterName: 'spam',
        adapterVersion: 1,
        baseModel: 'tiny',
        baseModelSha256: '0'.repeat(64),
        [column]: id,
        trainingKey: `files/${id}.jsonl`,
        validationSplit: 'auto',
        method: {} as never,
        hyperparameters: {} as never,
        seed: 1,
        createdAt: 0,
      });
      for (const status of ['queued', 'running'] as const) {
        await db.update(jobs).set({ status });
        const answer = await client.call(`/v1/files/${id}`, { method: 'DELETE' });
        expect(problemOf(answer)).toMatchObject({ status: 409, code: 'file_in_use' });
      }
      expect(await env.BUCKET.head(`files/${id}.jsonl`)).not.toBeNull();
      await db.update(jobs).set({ status: 'failed' });
      expect((await client.call(`/v1/files/${id}`, { method: 'DELETE' })).status).toBe(200);
    },
  );
});
