import { afterAll, beforeAll, expect, it } from 'vitest';
import { AppError, problem } from '../../../shared/errors.ts';
import { Cluster } from '../../support/cluster.ts';
import { EdgeProxy } from '../../support/edge-proxy.ts';

const HOT = ['hot', 'warm'];
let cluster: Cluster;
let proxy: EdgeProxy;

beforeAll(async () => {
  cluster = await Cluster.start(0);
  proxy = await EdgeProxy.start(cluster.url);
  await cluster.startNode({ WEFT_EDGE_URL: proxy.url });
  await cluster.import(...HOT);
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await cluster[Symbol.asyncDispose]();
});

const isFile = (path: string) => path.startsWith('/internal/adapters/');
const cold = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}-${i}`);

it('adapters whose files come slowly keep nobody waiting for those that are loaded', async () => {
  const hot = cluster.load({ connections: 4, names: () => HOT });
  await hot.more(20);
  const gate = Promise.withResolvers<undefined>();
  let held = 0;
  proxy.onCall = ({ path, when }) => {
    if (!isFile(path) || when !== 'begins') return undefined;
    held++;
    return gate.promise as Promise<never>;
  };
  // Each connection asks for one at random: for more than the 32 that a node fetches at once.
  const names = cold('slow', 80);
  await cluster.import(...names);
  const asked = cluster.load({ connections: 64, maxRows: 1, timeoutMs: 60_000, names: () => names });
  await expect.poll(() => held).toBe(32);
  await hot.more(60);
  expect(asked.right).toBe(0);
  gate.resolve(undefined);
  await asked.more(100);
  expect(await asked.stop()).toEqual({ wrong: [], failed: {} });
  expect(await hot.stop()).toEqual({ wrong: [], failed: {} });
});

it('files that come at the third try are asked for again, unnoticed', async () => {
  const tries = new Map<string, number>();
  const failure = problem(new AppError('internal_error', 'R2 is not well'), 'r');
  proxy.onCall = ({ path, when }) => {
    if (!isFile(path) || when !== 'begins') return undefined;
    tries.set(path, (tries.get(path) ?? 0) + 1);
    return tries.get(path)! < 3 ? Response.json(failure, { status: failure.status }) : undefined;
  };
  const names = cold('flaky', 10);
  await cluster.import(...names);
  const load = cluster.load({ connections: 8, names: () => [...HOT, ...names] });
  await load.more(100);
  expect(await load.stop()).toEqual({ wrong: [], failed: {} });
  expect(Math.min(...tries.values())).toBe(3);
});

it('files that are not to be had fail those who ask for them alone, until they are', async () => {
  const failure = problem(new AppError('internal_error', 'R2 is not there'), 'r');
  proxy.onCall = ({ path, when }) =>
    isFile(path) && when === 'begins' ? Response.json(failure, { status: failure.status }) : undefined;
  const names = cold('lost', 6);
  await cluster.import(...names);
  const hot = cluster.load({ connections: 4, names: () => HOT });
  const lost = cluster.load({ connections: 6, maxRows: 1, names: () => names });
  await expect.poll(() => lost.failures).toBeGreaterThan(12);
  await hot.more(40);
  expect(lost.right).toBe(0);
  proxy.onCall = () => undefined;
  await lost.more(60);
  const { wrong, failed } = await lost.stop();
  expect([wrong, Object.keys(failed)]).toEqual([[], ['no_capacity']]);
  expect(await hot.stop()).toEqual({ wrong: [], failed: {} });
});

it('an edge that is restarted under load answers as before, from what it has on disk', async () => {
  const load = cluster.load({ connections: 8, names: () => HOT });
  await load.more(40);
  await cluster.restartEdge(async () => {
    // Some meet an edge that is not there, whatever else they do.
    await expect.poll(() => load.failed.unreachable ?? 0).toBeGreaterThan(8);
  });
  await load.more(80);
  await cluster.import('hot');
  await load.more(80);
  const { wrong, failed } = await load.stop();
  expect(wrong).toEqual([]);
  // A node that missed heartbeats for ten seconds has no serving lease until the next.
  expect(Object.keys(failed).filter((kind) => !['unreachable', 'no_capacity'].includes(kind))).toEqual([]);
});
