import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOCATOR_ENVIRONMENT } from '../../../gpu-node/allocator.ts';
import { type LocalEdge, startEdge } from '../../../scripts/local-edge.ts';
import { ADAPTER_WEIGHTS_FILE } from '../../../shared/adapter-format.ts';
import type { Evaluation } from '../../../shared/api/evaluations.ts';
import { NodeDaemon } from '../../support/node-daemon.ts';
import { otherTinyBert, TINY_BERT } from '../../support/tiny-bert.ts';

const SECRET = 'secret-of-the-node';
const KEY = 'key-of-a-client';
let folder: string;
let edge: LocalEdge;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft daemon-'));
  edge = await startEdge({ stateFolder: join(folder, 'edge'), port: 0, nodeSecret: SECRET, key: KEY });
});
afterAll(async () => {
  await edge.stop();
  await rm(folder, { recursive: true });
});

const environment = (env: Record<string, string> = {}) => ({
  WEFT_EDGE_URL: edge.url,
  WEFT_NODE_SECRET: SECRET,
  WEFT_HOME: join(folder, 'home'),
  ...env,
});

async function call(path: string, body?: unknown, method = body ? 'POST' : 'GET') {
  const response = await fetch(edge.url + path, {
    method,
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

const WORDS = { sport: ['goal', 'match', 'team', 'win'], food: ['soup', 'bread', 'salt', 'cook'] };
const EXAMPLES = Object.entries(WORDS).flatMap(([label, words]) =>
  words.flatMap((a) => words.flatMap((b) => words.map((c) => ({ text: `${a} and ${b} with ${c}`, label })))),
);

/** Rows of which an epoch takes seconds, so that a job goes on until something ends it: it ends early after four epochs at the soonest. */
const LONG = { examples: Array.from({ length: 2000 }, (_, i) => EXAMPLES[i % EXAMPLES.length]!) };

async function train(name: string, epochs: number, more: object = {}): Promise<{ id: string; job: string }> {
  const hyperparameters = { epochs, max_length: 16, batch_size: 1 };
  const { status, body } = await call('/v1/adapters', {
    name,
    examples: EXAMPLES,
    validation_split: 0,
    hyperparameters,
    ...more,
  });
  expect(status, JSON.stringify(body)).toBe(202);
  return { id: String(body.id), job: String(body.job_id) };
}

const SOON = { timeout: 60_000, interval: 100 };
const statusOf = (id: string) => async () => (await call(`/v1/adapters/${id}`)).body.status;
const progressOf = (job: string) => async () =>
  ((await call(`/v1/fine_tuning/jobs/${job}`)).body.progress as { step: number } | null)?.step ?? 0;
const jobFolders = (home = 'home') => readdir(join(folder, home, 'nodes', '1', 'jobs'));

async function labelOf(model: string): Promise<string> {
  const { status, body } = await call('/v1/classify', { model, input: 'soup and bread' });
  expect(status, JSON.stringify(body)).toBe(200);
  return JSON.stringify((body.data as { scores: unknown }[])[0]!.scores);
}

/** A daemon that the edge has taken. */
async function joined(env?: Record<string, string>, fileBlocks?: number): Promise<NodeDaemon> {
  const daemon = new NodeDaemon(environment(env), fileBlocks);
  await daemon.said('registered');
  return daemon;
}

describe('a job', () => {
  it('survives a kill -9 of the daemon: the next attempt finishes it', async () => {
    let id: string;
    {
      await using first = await joined();
      ({ id } = await train('survivor', 5));
      await first.said('job leased');
      first.signal('SIGKILL');
      await first.exited;
    }
    await using daemon = await joined();
    expect((await daemon.said('job leased')).attempt).toBe(2);
    await daemon.said('job done');
    expect(await statusOf(id)()).toBe('ready');
    await expect.poll(() => jobFolders(), SOON).toEqual([]);
  });

  it('that a node has no room for is finished by another', async () => {
    {
      await using _converts = await joined();
    }
    await using full = await joined({}, 8);
    const { id } = await train('roomy', 2);
    expect((await full.said('job failed')).reason).toContain('disk');
    await using other = await joined({ WEFT_HOME: join(folder, 'other home') });
    expect((await other.said('job leased')).attempt).toBe(2);
    await other.said('job done');
    expect(await statusOf(id)()).toBe('ready');
  });

  it('that is cancelled stops its process and leaves nothing behind', async () => {
    await using daemon = await joined();
    const { id, job } = await train('cancelled', 100, LONG);
    await expect.poll(progressOf(job), SOON).toBeGreaterThan(0);
    await call(`/v1/fine_tuning/jobs/${job}/cancel`, {});
    expect((await daemon.said('job stopped')).reason).toBe('cancelled');
    expect(await statusOf(id)()).toBe('cancelled');
    await expect.poll(() => jobFolders(), SOON).toEqual([]);
  });

  it('goes back to the queue when the daemon drains', async () => {
    await using daemon = await joined();
    const { id, job } = await train('handed-back', 100, LONG);
    await expect.poll(progressOf(job), SOON).toBeGreaterThan(0);
    daemon.signal('SIGTERM');
    expect(await daemon.exited).toEqual([0, null]);
    expect(await statusOf(id)()).toBe('queued');
    await call(`/v1/fine_tuning/jobs/${job}/cancel`, {});
  });
});

describe('an evaluation', () => {
  it('goes on where a killed node left it, and compares two versions on every row', async () => {
    const rows = Array.from({ length: 400 }, (_, i) => EXAMPLES[i % EXAMPLES.length]!);
    const form = new FormData();
    form.set('purpose', 'fine-tune');
    form.set('file', new File([rows.map((row) => `${JSON.stringify(row)}\n`).join('')], 'rows.jsonl'));
    const headers = { authorization: `Bearer ${KEY}` };
    const uploaded = await fetch(`${edge.url}/v1/files`, { method: 'POST', headers, body: form });
    const { id: file } = (await uploaded.json()) as { id: string };
    let id: string;
    {
      await using first = await joined();
      for (const seed of [1, 2]) {
        const trained = await train('judged', 1, { seed });
        await expect.poll(statusOf(trained.id), SOON).toBe('ready');
      }
      const { body } = await call('/v1/evaluations', { models: ['judged@1', 'judged'], file });
      id = String(body.id);
      await first.said('task leased');
      first.signal('SIGKILL');
      await first.exited;
    }
    await using daemon = await joined();
    expect((await daemon.said('task leased')).attempt).toBe(2);
    await daemon.said('task done');
    const { status, results, comparisons } = (await call(`/v1/evaluations/${id}`))
      .body as unknown as Evaluation;
    expect(status).toBe('succeeded');
    expect(results!.map(({ model, metrics }) => [model, metrics.examples])).toEqual([
      ['judged@1', rows.length],
      ['judged@2', rows.length],
    ]);
    const [pair] = comparisons!;
    const { both_right, only_first_right, only_second_right, both_wrong } = pair!;
    expect(both_right + only_first_right + only_second_right + both_wrong).toBe(rows.length);
    expect((both_right + only_second_right) / rows.length).toBeCloseTo(results![1]!.metrics.accuracy, 10);
    const { body } = await call('/v1/classify', {
      model: 'judged@2',
      input: rows.slice(0, 200).map(({ text }) => text),
    });
    const right = (body.data as { label: string }[]).filter(
      ({ label }, i) => label === rows[i]!.label,
    ).length;
    expect(right / 200).toBeCloseTo(results![1]!.metrics.accuracy, 1);
  });
});

/** The weights of this hash in a node's cache. */
async function cachedWeights(cache: string, sha256: unknown) {
  for (const bundle of await readdir(cache)) {
    const file = join(cache, bundle, ADAPTER_WEIGHTS_FILE);
    const bytes = await readFile(file).catch(() => Buffer.of());
    if (createHash('sha256').update(bytes).digest('hex') === sha256) return { bundle, file, bytes };
  }
  throw new Error(`${cache} has no adapter of the weights ${sha256}`);
}

describe('an adapter', () => {
  it('answers as before after everything was killed, and after its cached file was damaged', async () => {
    let id: string;
    let before: string;
    {
      await using first = await joined();
      // Equal adapters are one bundle, which lasts as long as any of them: a seed of its own makes this one differ.
      id = (await train('lasting', 2, { seed: 7 })).id;
      await expect.poll(statusOf(id), SOON).toBe('ready');
      before = await labelOf(id);
      first.signal('SIGKILL');
      await first.exited;
    }
    const cache = join(folder, 'home', 'cache', 'adapters');
    // The end of a training warms its adapter, so that of an earlier job may lie there too.
    const { bundle, file, bytes } = await cachedWeights(
      cache,
      (await call(`/v1/adapters/${id}`)).body.sha256,
    );
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(file, bytes);
    await using second = await joined();
    expect(await labelOf(id)).toBe(before);
    await second.said('a cached adapter is corrupt: dropped, and fetched again');
    await call(`/v1/adapters/${id}`, undefined, 'DELETE');
    expect((await call('/v1/classify', { model: id, input: 'x' })).status).toBe(404);
    await expect.poll(() => readdir(cache), SOON).not.toContain(bundle);
  });
});

async function holdPort(): Promise<{ port: number; release(): Promise<unknown> }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { port, release: () => new Promise((resolve) => server.close(resolve)) };
}

describe('a node of two base models', () => {
  it('trains and serves on each, and answers a batch that mixes them', async () => {
    const other = await otherTinyBert(folder);
    const env = { WEFT_BASE_MODEL: `${TINY_BERT}, ${other.folder}`, WEFT_HOME: join(folder, 'two bases') };
    await using daemon = await joined(env);
    expect((await daemon.said('listens')).base_models).toBe('tiny-bert, other-bert');
    const ids: string[] = [];
    for (const base_model of ['default', 'other-bert']) {
      const { id } = await train(`on-${base_model}`, 1, { base_model });
      await expect.poll(statusOf(id), SOON).toBe('ready');
      ids.push(id);
    }
    const bases = await Promise.all(
      ids.map(async (id) => (await call(`/v1/adapters/${id}`)).body.base_model),
    );
    expect(bases).toEqual(['tiny-bert', 'other-bert']);
    const alone = [await labelOf(ids[0]!), await labelOf(ids[1]!)];
    const input = [...ids, ...ids].map((model) => ({ model, text: 'soup and bread' }));
    const { status, body } = await call('/v1/classify', { input });
    expect(status, JSON.stringify(body)).toBe(200);
    const mixed = body.data as { model: string; scores: Record<string, number> }[];
    for (const [i, { model, scores }] of mixed.entries()) {
      expect(model).toBe(ids[i % 2]);
      for (const [label, score] of Object.entries(JSON.parse(alone[i % 2]!))) {
        expect(scores[label]).toBeCloseTo(score as number, 5);
      }
    }
    expect(alone[0]).not.toBe(alone[1]);
    const unknown = await call('/v1/adapters', { name: 'x', examples: EXAMPLES, base_model: 'gpt' });
    expect(unknown.status).toBe(404);
    expect(unknown.body.detail).toContain('there is other-bert, tiny-bert');
  });

  it('is refused where they have one id, by name', async () => {
    await using daemon = new NodeDaemon(environment({ WEFT_BASE_MODEL: `${TINY_BERT},${TINY_BERT}` }));
    expect(await daemon.exited).toEqual([1, null]);
    expect(daemon.lines.at(-1)?.message).toContain('base model tiny-bert is named twice');
  });
});

describe('a start', () => {
  it.runIf(process.platform === 'linux')(
    'has the allocator give back what ended sessions have freed',
    async () => {
      await using daemon = new NodeDaemon(environment({ WEFT_HOME: join(folder, 'allocator home') }));
      await daemon.said('listens');
      const given = (await readFile(`/proc/${daemon.pid}/environ`, 'utf8')).split('\0');
      for (const [name, value] of Object.entries(ALLOCATOR_ENVIRONMENT))
        expect(given).toContain(`${name}=${value}`);
      expect(await readFile(`/proc/${daemon.pid}/cmdline`, 'utf8')).toContain('--max-semi-space-size');
    },
  );

  it('waits for the edge, and keeps its id across restarts', async () => {
    const port = await holdPort().then(({ port, release }) => release().then(() => port));
    const env = environment({ WEFT_EDGE_URL: `http://127.0.0.1:${port}`, WEFT_HOME: join(folder, 'late') });
    const ids: unknown[] = [];
    {
      await using early = new NodeDaemon(env);
      ids.push((await early.said('listens')).id);
      await early.said('the edge does not take the node yet; trying again');
      const laterEdge = await startEdge({
        stateFolder: join(folder, 'late edge'),
        port,
        nodeSecret: SECRET,
        key: KEY,
      });
      await early.said('registered');
      await laterEdge.stop();
    }
    await using again = new NodeDaemon(env);
    ids.push((await again.said('listens')).id);
    expect(ids[1]).toBe(ids[0]);
  });

  it('says which port is taken', async () => {
    const { port, release } = await holdPort();
    await using daemon = new NodeDaemon(environment({ WEFT_NODE_PORT: String(port) }));
    expect(await daemon.exited).toEqual([1, null]);
    expect(daemon.lines.at(-1)?.message).toContain(`port ${port} of 127.0.0.1 is taken`);
    await release();
  });

  it('names the variables that are wrong', async () => {
    await using daemon = new NodeDaemon(environment({ WEFT_NODE_SECRET: '', WEFT_SLOTS: 'many' }));
    expect(await daemon.exited).toEqual([1, null]);
    expect(daemon.lines.at(-1)?.message).toMatch(/WEFT_NODE_SECRET.*\n.*WEFT_SLOTS/);
  });

  it('leaves what it compiled for whatever starts after it ended', async () => {
    const home = join(folder, 'compiled home');
    await using daemon = await joined({ WEFT_HOME: home });
    daemon.signal('SIGTERM');
    expect(await daemon.exited).toEqual([0, null]);
    const compiled = await readdir(join(home, 'cache', 'compiled'), { recursive: true });
    expect(compiled.length).toBeGreaterThan(100);
  });

  it('gives two nodes of one home ids of their own', async () => {
    await using one = new NodeDaemon(environment());
    await using two = new NodeDaemon(environment());
    expect((await one.said('listens')).id).not.toBe((await two.said('listens')).id);
  });
});
