import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canBeFirstProcess, NpmScript } from '../support/npm.ts';
import { TINY_BERT } from '../support/tiny-bert.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weft signals '));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const environment = (home: string) => ({
  WEFT_HOME: join(root, home),
  WEFT_BASE_MODEL: TINY_BERT,
  WEFT_THREADS: '1',
  WEFT_NODE_PORT: '0',
  PORT: '0',
});

const answers = (url: string) =>
  fetch(`${url}/health`).then(
    () => true,
    () => false,
  );

const isPermitted = await canBeFirstProcess();
if (!isPermitted) {
  console.warn(
    '`unshare --pid` is not permitted here: how npm fares as process 1 of a container is not tested.',
  );
}

describe.each([
  { place: 'in a shell', first: false },
  { place: 'as process 1 of a container', first: true },
])('SIGTERM to npm $place', ({ first }) => {
  const test = it.skipIf(first && !isPermitted);

  test('drains what `npm start` has started, and npm ends after it', async () => {
    await using npm = new NpmScript('start', environment(`start ${first}`), { first });
    const edge = /http:\S+/.exec(await npm.said('ready '))![0];
    const node = /url=(\S+)/.exec(await npm.said('node listens'))![1]!;
    expect([await answers(edge), await answers(node)]).toEqual([true, true]);
    await npm.signal('SIGTERM');
    expect(await npm.exited).toEqual([0, null]);
    expect([await answers(edge), await answers(node)]).toEqual([false, false]);
    expect(npm.lines.slice(-3)).toEqual([
      'stopping: the node drains first',
      'node drains reason=SIGTERM',
      'node ends',
    ]);
  });

  test('drains the daemon of `npm run node`, and npm ends after it', async () => {
    // No edge is there: the node waits for one.
    const secrets = { WEFT_EDGE_URL: 'http://127.0.0.1:1', WEFT_NODE_SECRET: 'secret-of-the-node' };
    const env = { ...environment(`node ${first}`), ...secrets };
    await using npm = new NpmScript('node', env, { first });
    const { url } = JSON.parse(await npm.said('"listens"'));
    expect(await answers(url)).toBe(true);
    await npm.signal('SIGTERM');
    expect(await npm.exited).toEqual([0, null]);
    expect(await answers(url)).toBe(false);
    const messages = npm.lines.slice(-2).map((line) => JSON.parse(line).message);
    expect(messages).toEqual(['drains', 'ends']);
  });
});
