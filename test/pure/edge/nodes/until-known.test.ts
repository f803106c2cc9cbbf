import { expect, it } from 'vitest';
import type { LiveNode } from '../../../../edge/base-models.ts';
import { untilKnown } from '../../../../edge/nodes/until-known.ts';

const CHANGE = { tenant: 't', name: 'spam', seq: 3 };
const nodes = ['a', 'b'].map((id): LiveNode => ({ id, url: `http://${id}`, baseModels: [] }));

it('tells a node again until it has acknowledged the change', async () => {
  const told: string[] = [];
  const client = {
    tellChanges: async (node: LiveNode) => {
      told.push(node.id);
      return node.id === 'a' || told.length > 2;
    },
  };
  await untilKnown(client, nodes, CHANGE, new AbortController().signal);
  expect(told).toEqual(['a', 'b', 'b']);
});

it('waits for a node that does not answer until its lease has ended, and no longer', async () => {
  const leases = new AbortController();
  const client = {
    tellChanges: (node: LiveNode) =>
      node.id === 'a' ? Promise.resolve(true) : new Promise<boolean>(() => {}),
  };
  let known = false;
  const done = untilKnown(client, nodes, CHANGE, leases.signal).then(() => {
    known = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(known).toBe(false);
  leases.abort();
  await done;
  expect(known).toBe(true);
});
