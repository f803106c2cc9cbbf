import { afterAll, beforeAll, expect, it } from 'vitest';
import { Random } from '../../../gpu-node/random.ts';
import { Cluster } from '../../support/cluster.ts';

const NAMES = ['red', 'green', 'blue'];
let cluster: Cluster;

beforeAll(async () => {
  // Fewer slots than there will be adapters.
  cluster = await Cluster.start(2, { WEFT_SLOTS: '16', WEFT_THREADS: '2' });
  await cluster.import(...NAMES);
});
afterAll(() => cluster[Symbol.asyncDispose]());

it('imports and deletions under load: never a stale answer, never two versions in one', async () => {
  const load = cluster.load({ connections: 8, maxRows: 6 });
  await load.more(40);
  const random = new Random(11, 'changes');
  for (let i = 0; i < 24; i++) {
    const name = NAMES[random.below(NAMES.length)]!;
    const { length } = cluster.catalogue.versions(name);
    if (length === 0 || (length < 3 && random.below(2) === 0)) await cluster.import(name);
    else await cluster.remove(name);
    await load.more(10);
  }
  expect(await load.stop()).toEqual({ wrong: [], failed: {} });
});

it('retraining and deletions under load: the old version answers until the new one does', async () => {
  await cluster.import(...NAMES);
  const load = cluster.load({ connections: 4, maxRows: 6, names: () => NAMES });
  await load.more(20);
  for (const name of NAMES) {
    await Promise.all([cluster.train(name), load.more(20)]);
    await load.more(20);
  }
  await cluster.remove(NAMES[0]!);
  await load.more(20);
  expect(await load.stop()).toEqual({ wrong: [], failed: {} });
});

it('200 adapters are loaded while hot ones are served, and all answer right', async () => {
  await cluster.import(...NAMES);
  const many = Array.from({ length: 200 }, (_, i) => `adapter-${i}`);
  const load = cluster.load({ connections: 4, names: () => NAMES });
  await load.more(20);
  await cluster.import(...many);
  const all = cluster.load({ connections: 8, maxRows: 16, names: () => many });
  await all.more(150);
  await load.more(20);
  expect(await all.stop()).toEqual({ wrong: [], failed: {} });
  expect(await load.stop()).toEqual({ wrong: [], failed: {} });
});
