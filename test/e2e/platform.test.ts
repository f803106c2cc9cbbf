import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { holderOf } from '../../gpu-node/daemon/identity.ts';
import { isAlive } from '../../gpu-node/process-alive.ts';
import { type Platform, type PlatformOptions, startPlatform } from '../../scripts/platform.ts';
import { TINY_BERT } from '../support/tiny-bert.ts';

const START = fileURLToPath(new URL('../../scripts/start.ts', import.meta.url));
const NODE_ENV = { WEFT_BASE_MODEL: TINY_BERT, WEFT_THREADS: '2', WEFT_NODE_PORT: '0' };
const EXAMPLES = ['spam', 'ham'].flatMap((label) =>
  Array.from({ length: 4 }, (_, i) => ({ text: `${label} number ${i}`, label })),
);

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weft platform '));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function newHome(name: string): Promise<string> {
  const home = join(root, name);
  await mkdir(home);
  return home;
}

const start = (home: string, options: PlatformOptions = {}) =>
  startPlatform({ home, port: 0, key: 'first', nodeEnv: NODE_ENV, log: () => {}, ...options });

async function call({ url, key }: Pick<Platform, 'url' | 'key'>, path: string, json?: unknown) {
  const response = await fetch(url + path, {
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    ...(json !== undefined && { method: 'POST', body: JSON.stringify(json) }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what tests assert
  return { status: response.status, body: (await response.json()) as any };
}

/** Asks again until `done` says so; the test's own time is the limit. */
async function until<T>(ask: () => Promise<T>, done: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (done(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function trainOne(platform: Platform, name: string, method: object = {}): Promise<string> {
  const json = { name, method, examples: EXAMPLES, hyperparameters: { epochs: 1, max_length: 8 } };
  const { body } = await call(platform, '/v1/adapters', json);
  const ended = await until(
    () => call(platform, `/v1/adapters/${body.id}`),
    (answer) => !['queued', 'training'].includes(answer.body.status),
  );
  expect(ended.body).toMatchObject({ status: 'ready', error: null });
  return body.id;
}

describe('the platform on one machine', () => {
  it('trains, and after a restart answers as before, to the new development key alone', async () => {
    const home = await newHome('kept');
    const first = await start(home);
    const models = [await trainOne(first, 'kept'), await trainOne(first, 'whole', { type: 'full' })];
    const input = models.map((model) => ({ model, text: 'spam number 9' }));
    const before = await call(first, '/v1/classify', { input });
    expect(before.status).toBe(200);
    await first.stop();
    await using second = await start(home, { key: 'second' });
    await second.runCron();
    const after = await call(second, '/v1/classify', { input });
    expect(after.body.data).toEqual(before.body.data);
    expect((await call({ url: second.url, key: 'first' }, '/v1/models')).status).toBe(401);
  });

  it('starts a node that was killed again, and keeps others off its home and port', async () => {
    const home = await newHome('killed');
    const lines: string[] = [];
    await using platform = await start(home, { log: (line) => lines.push(line) });
    await expect(start(home)).rejects.toThrow(/is in use by process \d+: stop it, or set WEFT_HOME/);
    const port = Number(new URL(platform.url).port);
    await expect(start(await newHome('other'), { port })).rejects.toThrow(
      `port ${port} is taken: choose another`,
    );
    const model = await trainOne(platform, 'killed');
    process.kill(await nodePid(home), 'SIGKILL');
    const answer = await until(
      () => call(platform, '/v1/classify', { model, input: 'ham' }),
      ({ status }) => status === 200,
    );
    expect(answer.body.data).toHaveLength(1);
    expect(lines).toContain('node was killed by SIGKILL; starting it again in 1 s');
  });

  it('finishes a job whose node is killed, and then drained, while it trains', async () => {
    const home = await newHome('lost');
    const jobOf = async (platform: Platform, id: string) =>
      (await call(platform, `/v1/fine_tuning/jobs/${id}`)).body;
    const training = (platform: Platform, id: string, attempt: number) =>
      until(
        () => jobOf(platform, id),
        (job) => job.attempt === attempt && job.progress?.step > 0,
      );
    const first = await start(home);
    const hyperparameters = { epochs: 60, batch_size: 1, max_length: 8 };
    // Four epochs of these, after which training may end early, take seconds.
    const examples = Array.from({ length: 600 }, (_, i) => EXAMPLES[i % EXAMPLES.length]);
    const { body } = await call(first, '/v1/adapters', {
      name: 'lost',
      examples,
      hyperparameters,
      validation_split: 0,
    });
    await training(first, body.job_id, 1);
    process.kill(await nodePid(home), 'SIGKILL');
    await training(first, body.job_id, 2);
    await first.stop();
    await using second = await start(home);
    const ended = await until(
      () => jobOf(second, body.job_id),
      (job) => !['queued', 'running'].includes(job.status),
    );
    expect(ended).toMatchObject({ status: 'succeeded', attempt: 3, error: null });
  });

  it('refuses a development key that no request could carry', async () => {
    await expect(start(await newHome('keyless'), { key: 'two words' })).rejects.toThrow('WEFT_API_KEY');
  });

  it('says that its home cannot be made', async () => {
    const home = join(await newHome('file'), 'taken');
    await writeFile(home, '');
    await expect(start(join(home, 'inside'))).rejects.toThrow(/taken\/inside cannot be made .*WEFT_HOME/);
  });

  it('gives up where the node cannot start, with its reason', async () => {
    const nodeEnv = { ...NODE_ENV, WEFT_BASE_MODEL: join(root, 'no such folder') };
    const started = start(await newHome('hopeless'), { nodeEnv });
    await expect(started).rejects.toThrow(/^the node cannot start: base model .*no such folder/);
  });
});

async function nodePid(home: string): Promise<number> {
  return holderOf(join(home, 'nodes/1'));
}

describe('npm start', () => {
  /** Started, with what it has said up to the first command to type. */
  async function launch(home: string): Promise<{ child: ChildProcess; url: string; said: string }> {
    const env = { ...process.env, ...NODE_ENV, PORT: '0', WEFT_HOME: home, WEFT_API_KEY: 'k' };
    const child = spawn(process.execPath, [START], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    for await (const line of createInterface({ input: child.stdout! })) {
      said += `${line}\n`;
      const url = /^ready +(\S+) +key k$/m.exec(said)?.[1];
      if (url && line.includes('curl')) return { child, url, said };
    }
    throw new Error('it ended before it was ready');
  }

  const isUp = (url: string) =>
    fetch(`${url}/health`).then(
      () => true,
      () => false,
    );

  it('says what it is doing, and what to type first', async () => {
    const { child, url, said } = await launch(await newHome('said'));
    child.kill('SIGINT');
    await once(child, 'exit');
    expect(said).toMatch(
      /^starting the edge.*\n(.*\n)*the edge listens at .*starting a node.*\n(.*\n)*ready /m,
    );
    expect(said).toContain(`curl -s ${url}/v1/files -H 'Authorization: Bearer k'`);
  });

  it('ends cleanly on SIGINT', async () => {
    const { child, url } = await launch(await newHome('interrupted'));
    expect(await isUp(url)).toBe(true);
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(await isUp(url)).toBe(false);
  });

  it('leaves no process behind when it is killed', async () => {
    const home = await newHome('orphans');
    const { child, url } = await launch(home);
    const pid = await nodePid(home);
    child.kill('SIGKILL');
    await until(
      () => isUp(url),
      (up) => !up,
    );
    await until(
      async () => isAlive(pid),
      (alive) => !alive,
    );
    const again = await start(home);
    await again.stop();
  });
});
