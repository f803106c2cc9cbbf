import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Platform, startPlatform } from '../../../scripts/platform.ts';
import { LAYOUTS } from '../../../shared/adapter-format.ts';
import { MAX_LABEL_CHARS, MAX_LABELS } from '../../../shared/api/rows.ts';
import { TINY_BERT } from '../../support/tiny-bert.ts';

const NODE_ENV = { WEFT_BASE_MODEL: TINY_BERT, WEFT_THREADS: '2', WEFT_NODE_PORT: '0' };
const TEXTS = ['a fox jumps', 'the company sells shares', 'money'];

let root: string;
let first: Platform;
let second: Platform;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weft backup '));
  [first, second] = await Promise.all([start('first'), start('second')]);
});
afterAll(async () => {
  await Promise.all([first?.stop(), second?.stop()]);
  await rm(root, { recursive: true, force: true });
});

async function start(name: string): Promise<Platform> {
  const home = join(root, name);
  await mkdir(home);
  return startPlatform({ home, port: 0, key: `key-of-${name}`, nodeEnv: NODE_ENV, log: () => {} });
}

async function call({ url, key }: Platform, path: string, init: RequestInit = {}) {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const response = await fetch(url + path, { ...init, headers });
  // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what tests assert
  return { status: response.status, body: (await response.json()) as any };
}

/** Trains an adapter to its end. */
async function train(
  platform: Platform,
  name: string,
  examples: object[],
  extra: object = {},
): Promise<void> {
  const hyperparameters = { epochs: 1, max_length: 8, batch_size: 128 };
  const body = JSON.stringify({ name, examples, hyperparameters, ...extra });
  const { body: made } = await call(platform, '/v1/adapters', { method: 'POST', body });
  for (;;) {
    const { body: now } = await call(platform, `/v1/adapters/${made.id}`);
    if (!['queued', 'training'].includes(now.status)) {
      expect(now).toMatchObject({ status: 'ready', error: null });
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function scores(platform: Platform, ref: string): Promise<unknown> {
  const body = JSON.stringify({ input: TEXTS.map((each) => ({ model: ref, text: each })) });
  const answer = await call(platform, '/v1/classify', { method: 'POST', body });
  expect(answer.status).toBe(200);
  return answer.body.data.map((row: { scores: unknown }) => row.scores);
}

/** Runs a script as npm does; gives its code and what it said. */
async function run(script: 'backup' | 'restore', { url, key }: Platform, folder: string) {
  const path = fileURLToPath(new URL(`../../../scripts/${script}.ts`, import.meta.url));
  const env = { ...process.env, WEFT_URL: url, WEFT_API_KEY: key };
  const child = spawn(process.execPath, [path, folder], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const said = text(child.stdout);
  const [code] = await once(child, 'exit');
  return { code, lines: (await said).trimEnd().split('\n') };
}

/** The bytes of each version's three files. */
async function filesOf(folder: string): Promise<Record<string, Buffer>> {
  const files: Record<string, Buffer> = {};
  for (const id of (await readdir(folder)).filter((entry) => entry.includes('@'))) {
    for (const file of LAYOUTS.peft.files) files[`${id}/${file}`] = await readFile(join(folder, id, file));
  }
  return files;
}

const spam = (seed: number) =>
  ['spam', 'ham'].flatMap((label) =>
    Array.from({ length: 20 }, (_, i) => ({ text: `${label} number ${i + seed}`, label })),
  );

it('trains 1,000 labels of 256 characters to the end', async () => {
  const labels = Array.from({ length: MAX_LABELS }, (_, i) => String(i).padStart(MAX_LABEL_CHARS, 'x'));
  const examples = labels.flatMap((label, i) => [0, 1].map((n) => ({ text: `fox ${i} ${n}`, label })));
  await train(first, 'many', examples, { validation_split: 0.5 });
  const { body } = await call(first, '/v1/adapters/many');
  expect(new Set(body.labels)).toEqual(new Set(labels));
  expect(body.metrics.validation.confusion_matrix).toHaveLength(MAX_LABELS);
  const list = await call(first, '/v1/adapters');
  expect(list.body.data[0]).toMatchObject({ id: 'many@1', abridged: true, labels: null });
});

it('takes all adapters to another platform and back, with the same files and scores', async () => {
  await train(first, 'spam', spam(0));
  await train(first, 'spam', spam(7), { seed: 7 });
  const [there, back] = [join(root, 'there'), join(root, 'back')];
  expect(await run('backup', first, there)).toEqual({
    code: 0,
    lines: ['many@1  saved', 'spam@1  saved', 'spam@2  saved'],
  });
  expect((await run('restore', second, there)).lines).toEqual([
    'many@1  restored as many@1',
    'spam@1  restored as spam@1',
    'spam@2  restored as spam@2',
  ]);
  for (const ref of ['spam@1', 'spam', 'many']) {
    expect(await scores(second, ref)).toEqual(await scores(first, ref));
    const { metrics, labels } = (await call(first, `/v1/adapters/${ref}`)).body;
    expect((await call(second, `/v1/adapters/${ref}`)).body).toMatchObject({ metrics, labels });
  }
  expect((await run('backup', second, back)).code).toBe(0);
  expect(await filesOf(back)).toEqual(await filesOf(there));

  // Once more around, onto a platform where the first version of a name is gone.
  const before = await scores(first, 'spam@2');
  for (const name of ['spam', 'many']) await call(first, `/v1/adapters/${name}`, { method: 'DELETE' });
  await rm(join(back, 'spam@1'), { recursive: true });
  expect((await run('restore', first, back)).lines).toEqual([
    'many@1  restored as many@2',
    'spam@2  restored as spam@3',
  ]);
  expect(await scores(first, 'spam')).toEqual(before);
});

it('goes on where it was broken off, and overwrites nothing that differs', async () => {
  const folder = join(root, 'again');
  await run('backup', second, folder);
  const record = join(folder, 'spam@2', 'backup.json');
  await rm(record);
  await rm(join(folder, 'spam@2', 'weft.json'));
  const broken = await run('restore', second, folder);
  expect(broken.code).toBe(1);
  expect(broken.lines.at(-1)).toContain('spam@1, spam@2  NOT restored: the backup of spam@2 was broken off');
  expect(await run('backup', second, folder)).toEqual({
    code: 0,
    lines: ['many@1  is there', 'spam@1  is there', 'spam@2  saved'],
  });
  expect(await run('restore', second, folder)).toEqual({
    code: 0,
    lines: ['many@1  is there as many@1', 'spam@1  is there as spam@1', 'spam@2  is there as spam@2'],
  });

  const weights = join(folder, 'spam@1', 'adapter_model.safetensors');
  await truncate(weights, 100);
  const differs = await run('backup', second, folder);
  expect([differs.code, differs.lines[1]]).toEqual([1, expect.stringContaining('spam@1  NOT saved')]);
  expect((await readFile(weights)).byteLength).toBe(100);
  expect((await run('restore', first, folder)).lines.at(-1)).toContain('is not what was saved');

  const other = join(root, 'other');
  await run('backup', first, other);
  const refused = await run('restore', second, other);
  expect(refused.code).toBe(1);
  expect(refused.lines.at(-1)).toContain('spam@3  NOT restored: the platform has spam@1');
});

it('takes datasets along, as the rows that are trained on', async () => {
  const csv = 'text;label\n a fox ;animal\nshares;money\n';
  const form = new FormData();
  form.set('purpose', 'fine-tune');
  form.set('file', new Blob([csv]), 'table.csv');
  const headers = { authorization: `Bearer ${first.key}` };
  const sent = await fetch(`${first.url}/v1/files`, { method: 'POST', headers, body: form });
  const { id } = (await sent.json()) as { id: string };
  const folder = join(root, 'datasets');
  const saved = await run('backup', first, folder);
  expect(saved).toMatchObject({ code: 0, lines: expect.arrayContaining([`${id}  saved  table.csv`]) });
  expect(await readFile(join(folder, 'files', `${id}.jsonl`), 'utf8')).toBe(
    '{"text":" a fox ","label":"animal"}\n{"text":"shares","label":"money"}\n',
  );
  const restored = await run('restore', second, folder);
  const line = restored.lines.find((each) => each.startsWith(`${id}  restored as file_`));
  const there = line!.split(' ').at(-1)!;
  expect((await call(second, `/v1/files/${there}`)).body).toMatchObject({
    filename: 'table.csv',
    examples: 2,
  });
  expect((await run('restore', second, folder)).lines).toContain(`${id}  is there as ${there}`);
});
