import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE } from '../../shared/adapter-format.ts';
import type { BundleShape, PeftBundle } from '../../test/support/bundles.ts';
import { importForm } from '../../test/support/import-form.ts';
import { toyTexts } from '../../test/support/toy-task.ts';
import type { Answer, HostileClient } from './hostile-client.ts';

/** A hostile act of a client. @throws {Error} where the answer is not right */
export type Act = (client: HostileClient) => Promise<void>;

/** Milliseconds within which the server must close a connection that sends no more. */
const CLOSED_WITHIN_MS = 120_000;
const HELD_MS = 20_000;
/** Right answers while nodes are full or missing. */
const LATER = [429, 503];
const BOUNDARY = 'xxHostileBoundaryxx';
const FILE_PART = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n`;
const MULTIPART = { 'Content-Type': `multipart/form-data; boundary=${BOUNDARY}` };
const JSON_TYPE = { 'Content-Type': 'application/json' };
const TARGETS = ['query', 'key', 'value', 'attention.output.dense', 'intermediate.dense', 'output.dense'];
const LARGE = {
  method: { type: 'lora', r: 64, target_modules: 'all-linear', pooling: 'mean', base_precision: 'fp32' },
  hyperparameters: { epochs: 20, batch_size: 8, learning_rate: 1e-3, max_length: 32 },
};
const SMALL = {
  ...LARGE,
  method: { ...LARGE.method, r: 2 },
  hyperparameters: { ...LARGE.hyperparameters, epochs: 1 },
};

/** Every hostile act, by name. */
export const ACTS: Readonly<Record<string, Act>> = {
  'breaks off a JSON body': async (client) => {
    const connection = await client.open(
      `${client.head('POST', '/v1/classify', { ...JSON_TYPE, 'Content-Length': '1000' })}{"input":[`,
    );
    await client.wait(client.random.below(200));
    if (client.random.below(2)) connection.socket.destroy();
    else connection.socket.end();
    refuses(await connection.status(10_000));
  },

  'leaves uploads hanging': async (client) => {
    const count = 1 + client.random.below(8);
    const head = client.head('POST', '/v1/files', { ...MULTIPART, 'Content-Length': '900000' });
    const part = `${head}${FILE_PART}{"text":"half a ro`;
    const all = await Promise.all(Array.from({ length: count }, () => client.open(part)));
    const closed = await Promise.all(all.map((each) => each.isClosedWithin(CLOSED_WITHIN_MS, client.over)));
    if (closed.includes(false))
      throw new Error(`uploads that stopped are open after ${CLOSED_WITHIN_MS / 1000} s`);
  },

  'gives chunks bad sizes': async (client) => {
    const head = client.head('POST', '/v1/classify', { ...JSON_TYPE, 'Transfer-Encoding': 'chunked' });
    const size = client.pick(['zz', '-1', 'ffffffffffffffffff', '5;x=\u0001', '']);
    refuses(await (await client.open(`${head}${size}\r\n{"inp\r\n0\r\n\r\n`)).status(10_000));
  },

  'sends headers a byte at a time': async (client) => {
    const connection = await client.open('GET /v1/adapters HTTP/1.1\r\nX-Slow: ');
    for (let left = 20; left > 0 && !client.over.aborted; left--) {
      connection.socket.write('a');
      await client.wait(1000);
    }
    connection.socket.destroy();
  },

  'cancels and deletes while checkpoints are on their way': async (client) => {
    const { name, id, job } = await train(client, LARGE);
    if (!job) return;
    for (let left = 40; left > 0 && !client.over.aborted; left--) {
      const { body } = await client.call(`/v1/fine_tuning/jobs/${job}`);
      if ((body as { status: string }).status !== 'queued') break;
      await client.wait(500);
    }
    await client.wait(client.random.below(4000));
    if (client.random.below(2)) {
      await client.expect([200, 409], client.post(`/v1/fine_tuning/jobs/${job}/cancel`, {}));
    }
    await client.expect([200, ...LATER], client.call(`/v1/adapters/${id}`, { method: 'DELETE' }));
    await client.expect([404], client.call(`/v1/adapters/${name}`));
  },

  'floods the queue of trainings': async (client) => {
    const all = await Promise.all(Array.from({ length: 15 }, () => train(client, SMALL)));
    await client.wait(client.random.below(10_000));
    for (const { id } of all.filter(({ job }) => job)) {
      await client.expect([200, ...LATER], client.call(`/v1/adapters/${id}`, { method: 'DELETE' }));
    }
  },

  'asks for nine sorts of adapters at once': async (client) => {
    const names = [];
    for (let i = 0; i < 9; i++) {
      const targets = TARGETS.filter((_, bit) => ((i * 7 + 1) >> bit) & 1);
      names.push(await importAs(client, { seed: i, targets }));
    }
    const input = names.map((model) => ({ model, text: 'nine sorts of layers' }));
    await client.expect([200, ...LATER], client.post('/v1/classify', { input }));
    for (const name of names) await remove(client, name);
  },

  'imports crafted files': async (client) => {
    const files = client.cluster.oracle.otherBundle({ seed: 1 });
    const craft = client.pick(Object.values(CRAFTS));
    const body = importForm(
      client.newName(),
      craft({ ...files, [ADAPTER_WEIGHTS_FILE]: files[ADAPTER_WEIGHTS_FILE].slice() }),
    );
    await client.expect([400, 413, 422], client.call('/v1/adapters/import', { method: 'POST', body }));
  },

  'uploads half of a file': async (client) => {
    const rows = '{"text":"a row","label":"x"}\n'.repeat(client.pick([10, 1000, 100_000]));
    const bytes = `${FILE_PART}${rows}`;
    const head = client.head('POST', '/v1/files', {
      ...MULTIPART,
      'Content-Length': String(2 * bytes.length),
    });
    const connection = await client.open(head + bytes);
    connection.socket.end();
    refuses(await connection.status(20_000));
  },

  'uploads what is no dataset': async (client) => {
    const body = new FormData();
    body.set('purpose', 'fine-tune');
    const content = client.pick([
      '',
      '[]',
      '\u0000'.repeat(1000),
      'text,label\n"',
      `{"text":"${'x'.repeat(5e6)}"}`,
      'a;b\n',
    ]);
    body.set('file', new Blob([content]), 'x.csv');
    await client.expect([400, 413, 422], client.call('/v1/files', { method: 'POST', body }));
  },

  'deletes what is being classified': async (client) => {
    const name = await importAs(client, { seed: 20 });
    const ask = () =>
      client.post('/v1/classify', { model: name, input: Array(8).fill('a text that is asked for') });
    await client.expect([200, ...LATER], ask());
    const asked = Array.from({ length: 6 }, () => client.expect([200, 404, ...LATER], ask()));
    await remove(client, name);
    await client.expect([404], ask());
    await Promise.all(asked);
  },

  'follows events and never reads': async (client) => {
    const { job, id } = await train(client, SMALL);
    if (!job) return;
    const connection = await client.open(
      client.head('GET', `/v1/fine_tuning/jobs/${job}/events`, { Accept: 'text/event-stream' }),
    );
    connection.socket.pause();
    await client.wait(HELD_MS);
    connection.socket.destroy();
    await client.expect([200, ...LATER], client.call(`/v1/adapters/${id}`, { method: 'DELETE' }));
  },

  'asks for 256 texts and has no time': async (client) => {
    const name = await importAs(client, { seed: 21, maxLength: 64 });
    const input = Array.from({ length: 256 }, (_, i) => `${i} ${'many words '.repeat(40)}`);
    const time = { 'x-timeout-ms': String(client.pick([1, 20, 200, 2000])) };
    await Promise.all(
      Array.from({ length: 3 }, () =>
        client.expect([200, 422, ...LATER], client.post('/v1/classify', { model: name, input }, time)),
      ),
    );
    await remove(client, name);
  },

  'comes from a web page': async (client) => {
    const headers = client.pick<Record<string, string>>([
      { Host: 'evil.example' },
      { Host: 'evil.example:80', Origin: 'http://evil.example' },
      { Host: '' },
      { Host: 'a b' },
    ]);
    refuses(await (await client.open(client.head('GET', '/v1/adapters', headers))).status(10_000));
  },

  'says where the request was really for': async (client) => {
    const head = client.head('GET', '/v1/adapters/none', { 'MF-Original-URL': 'http://x/openapi.json' });
    const status = await (await client.open(head)).status(10_000);
    if (status === 200) throw new Error('a header replaces the path of a request');
  },

  "asks for another tenant's": async (client) => {
    const theirs = client.pick(client.cluster.catalogue.names);
    await client.expect([404], client.post('/v1/classify', { model: theirs, input: 'whose?' }));
    await client.expect([404], client.call(`/v1/adapters/${theirs}`));
    await client.expect([404], client.call(`/v1/adapters/${theirs}`, { method: 'DELETE' }));
  },

  'talks to a node itself': async (client) => {
    const url = client.nodeUrl();
    if (!url) return;
    const body = client.pick(['{"rows":[]}', '{', '\u0000']);
    const headers = { ...JSON_TYPE, 'Content-Length': String(body.length + client.random.below(2)) };
    const status = await (
      await client.open(client.head('POST', '/internal/classify', headers) + body, url)
    ).status(3000);
    if (status !== undefined && status < 400) throw new Error(`a node answers a stranger with ${status}`);
  },

  'sends noise': async (client) => {
    const noise = Uint8Array.from({ length: 1 + client.random.below(5000) }, () => client.random.below(256));
    const connection = await client.open(noise, client.pick([undefined, client.nodeUrl()]));
    refuses(await connection.status(2000));
  },
};

function refuses(status: number | undefined): void {
  if (status !== undefined && status < 400) throw new Error(`it is answered with ${status}`);
}

type PeftFiles = Pick<PeftBundle, typeof ADAPTER_CONFIG_FILE | typeof ADAPTER_WEIGHTS_FILE>;

/** Changes to an adapter's files, each of which makes it unfit. */
const CRAFTS: Readonly<Record<string, (files: PeftFiles) => PeftFiles>> = {
  'not a number': (files) => withLast(files, Number.NaN),
  infinite: (files) => withLast(files, Number.POSITIVE_INFINITY),
  'cut short': (files) => ({ ...files, [ADAPTER_WEIGHTS_FILE]: files[ADAPTER_WEIGHTS_FILE].slice(0, -100) }),
  longer: (files) => ({
    ...files,
    [ADAPTER_WEIGHTS_FILE]: new Uint8Array([...files[ADAPTER_WEIGHTS_FILE], 0]),
  }),
  'with another rank': (files) => ({
    ...files,
    [ADAPTER_CONFIG_FILE]: replaced(files[ADAPTER_CONFIG_FILE], '"r": 4', '"r": 5'),
  }),
  'of no JSON': (files) => ({ ...files, [ADAPTER_CONFIG_FILE]: files[ADAPTER_CONFIG_FILE].slice(1) }),
  'of another width': (files) => ({
    ...files,
    [ADAPTER_WEIGHTS_FILE]: replaced(files[ADAPTER_WEIGHTS_FILE], '"shape":[4,', '"shape":[2,'),
  }),
};

function withLast(files: PeftFiles, value: number): PeftFiles {
  const weights = files[ADAPTER_WEIGHTS_FILE];
  new DataView(weights.buffer).setFloat32(weights.byteLength - 4, value, true);
  return files;
}

function replaced(bytes: Uint8Array, from: string, to: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(Buffer.from(bytes).toString('latin1').replace(from, to), 'latin1'));
}

async function importAs(client: HostileClient, shape: BundleShape): Promise<string> {
  const name = client.newName();
  const body = importForm(name, client.cluster.oracle.otherBundle(shape), shape);
  await client.expect([201], client.call('/v1/adapters/import', { method: 'POST', body }));
  return name;
}

async function remove(client: HostileClient, name: string): Promise<Answer> {
  return client.expect([200], client.call(`/v1/adapters/${name}`, { method: 'DELETE' }));
}

/** Queues a training. Returns no job if the queue is full. */
async function train(
  client: HostileClient,
  settings: object,
): Promise<{ name: string; id: string; job?: string }> {
  const name = client.newName();
  const body = { name, examples: toyTexts(64, client.random.below(1000)), ...settings };
  const answer = await client.expect([202, 429], client.post('/v1/adapters', body));
  if (answer.status === 429) return { name, id: name };
  const { id, job_id } = answer.body as { id: string; job_id: string };
  return { name, id, job: job_id };
}
