import { afterAll, beforeAll, expect, it } from 'vitest';
import { Cluster } from '../../support/cluster.ts';

const NAMES = ['red', 'green', 'blue', 'black', 'white', 'grey'];
let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start(3);
  await cluster.import(...NAMES);
});
afterAll(() => cluster[Symbol.asyncDispose]());

it('no classification fails when one node of three is killed under load', async () => {
  const load = cluster.load({ connections: 12 });
  await load.more(60);
  const [victim] = cluster.nodes;
  victim!.signal('SIGKILL');
  await victim!.exited;
  await load.more(120);
  await cluster.restartNode(0);
  await load.more(120);
  expect(await load.stop()).toEqual({ wrong: [], failed: {} });
});

it('no classification fails when a node drains under load', async () => {
  const load = cluster.load({ connections: 12 });
  await load.more(60);
  cluster.nodes[1]!.signal('SIGTERM');
  expect(await cluster.nodes[1]!.exited).toEqual([0, null]);
  await load.more(60);
  await cluster.restartNode(1);
  expect(await load.stop()).toEqual({ wrong: [], failed: {} });
});

it('a node whose clock is an hour off serves, and hears of what changes', async () => {
  // A URL, as options part at blanks, which a path may hold.
  const { href } = new URL('../../support/clock-offset.ts', import.meta.url);
  for (const hours of [1, -1]) {
    await using own = await Cluster.start(1, {
      NODE_OPTIONS: `--import=${href}`,
      CLOCK_OFFSET_MS: String(hours * 3_600_000),
    });
    const logged = Date.parse(String(own.nodes[0]!.lines[0]!.time));
    expect(Math.sign(logged - Date.now())).toBe(hours);
    await own.import('name');
    const load = own.load({ connections: 4 });
    await load.more(20);
    await own.import('name');
    await load.more(20);
    await own.remove('name');
    await load.more(20);
    expect(await load.stop()).toEqual({ wrong: [], failed: {} });
  }
});

it('a node that takes requests and never answers is done without, and is not stale when it comes to', async () => {
  const load = cluster.load({ connections: 12, timeoutMs: 20_000 });
  await load.more(60);
  const paused = cluster.nodes[2]!;
  paused.signal('SIGSTOP');
  await cluster.remove('red');
  await load.more(60);
  paused.signal('SIGCONT');
  await load.more(120);
  expect(await load.stop()).toEqual({ wrong: [], failed: {} });
});
