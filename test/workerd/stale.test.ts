import { createExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { eq } from 'drizzle-orm';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { app } from '../../edge/app.ts';
import { proposeChange, settleAbandoned, settleChange } from '../../edge/db/changes.ts';
import { changes, nodes } from '../../edge/db/schema.ts';
import { ExpiringCache } from '../../edge/expiring-cache.ts';
import { isolate } from '../../edge/nodes/isolate.ts';
import { AppError } from '../../shared/errors.ts';
import { makeReady, submit } from './support/adapters.ts';
import { type Client, db, makeTenant, problemOf } from './support/api.ts';
import { classifyAsNode, finish, type NodeCall, refusalOf, serveNodes, TestNode } from './support/nodes.ts';

let client: Client;
let node: TestNode;
let calls: NodeCall[];
let restore = () => {};

beforeAll(async () => {
  node = await new TestNode().register();
});

beforeEach(async () => {
  client = await makeTenant();
  ({ calls, restore } = serveNodes((call) =>
    call.url.endsWith('/classify') ? classifyAsNode(call) : new Response(null, { status: 204 }),
  ));
  isolate.nodes.clear();
  isolate.traffic.clear();
});
afterEach(() => restore());

const classify = (model: string, as = client) =>
  as.call('/v1/classify', { json: { model, input: 'some text' } });
const remove = (model: string) => client.call(`/v1/adapters/${model}`, { method: 'DELETE' });
/** What answers for a model: an adapter, or a status. */
const answerTo = async (model: string): Promise<string | number> => {
  const { status, body } = await classify(model);
  return status === 200 ? body.model : status;
};
const unknownBundle = new AppError('adapter_not_found', 'there is no such bundle', {
  param: 'rows.0.bundle',
});
const attempts = () => calls.filter((call) => call.url.endsWith('/classify')).length;

it('asks the database nothing where the isolate remembers the key, the adapter and the nodes', async () => {
  await makeReady(client, node, 'warm');
  expect(await answerTo('warm')).toBe('warm@1');
  const touched: string[] = [];
  const DB = new Proxy(env.DB, {
    get: (database, name) => {
      touched.push(String(name));
      const value = Reflect.get(database, name);
      return typeof value === 'function' ? value.bind(database) : value;
    },
  });
  const request = new Request('https://edge.test/v1/classify', {
    method: 'POST',
    headers: { authorization: `Bearer ${client.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ input: [{ model: 'warm', text: 'x' }] }),
  });
  const response = await app.fetch(request, { ...env, DB }, createExecutionContext());
  expect(response.status).toBe(200);
  expect(touched).toEqual([]);
});

describe('an isolate that remembers what is not so any more', () => {
  it('answers 404 once an adapter is deleted', async () => {
    await makeReady(client, node, 'gone');
    expect(await answerTo('gone')).toBe('gone@1');
    expect(await answerTo('gone@1')).toBe('gone@1');
    await remove('gone@1');
    for (const model of ['gone', 'gone@1']) {
      expect(problemOf(await classify(model))).toMatchObject({ status: 404, code: 'adapter_not_found' });
    }
  });

  it('answers 404 also where the nodes keep the bundle for another adapter', async () => {
    for (const name of ['one', 'two']) {
      await submit(client, name, { base_model: node.baseModel });
      await finish((await node.lease())!, 'the same bytes');
      expect(await answerTo(name)).toBe(`${name}@1`);
    }
    await remove('one');
    expect([await answerTo('one'), await answerTo('two')]).toEqual([404, 'two@1']);
  });

  it('answers by a new version as soon as anybody has seen it ready', async () => {
    await makeReady(client, node, 'grown');
    expect(await answerTo('grown')).toBe('grown@1');
    await makeReady(client, node, 'grown');
    expect(await answerTo('grown')).toBe('grown@2');
    expect(await answerTo('grown@1')).toBe('grown@1');
  });

  it('answers by what is left of a name', async () => {
    for (const _ of [1, 2]) await makeReady(client, node, 'shrunk');
    expect(await answerTo('shrunk')).toBe('shrunk@2');
    await remove('shrunk@2');
    expect(await answerTo('shrunk')).toBe('shrunk@1');
  });

  it('answers by what is left where a deletion is on its way while it asks again', async () => {
    for (const _ of [1, 2]) await makeReady(client, node, 'shrinking');
    expect(await answerTo('shrinking')).toBe('shrinking@2');
    // The nodes have let the bundle go: the database still names it when the isolate asks again, and then no more.
    let refusals = 0;
    restore();
    ({ calls, restore } = serveNodes(async (call) => {
      if (!call.url.endsWith('/classify')) return new Response(null, { status: 204 });
      if (refusals === 2) return classifyAsNode(call);
      if (++refusals === 2) await remove('shrinking@2');
      return refusalOf(unknownBundle);
    }));
    expect(await answerTo('shrinking')).toBe('shrinking@1');
  });

  it('asks to try again, and never says that there is none, where nodes lack what the database has', async () => {
    await makeReady(client, node, 'lacking');
    restore();
    ({ calls, restore } = serveNodes(() => refusalOf(unknownBundle)));
    const { status, code } = problemOf(await classify('lacking'));
    expect([status, code]).toEqual([503, 'no_capacity']);
    expect(attempts()).toBe(4);
  });

  it('asks the node once more, and then remembers again', async () => {
    await makeReady(client, node, 'again');
    await answerTo('again');
    await makeReady(client, node, 'again');
    const before = attempts();
    await answerTo('again');
    expect(attempts() - before).toBe(2);
    await answerTo('again');
    expect(attempts() - before).toBe(3);
  });

  it('is refused by a node that started anew and may have missed a change', async () => {
    await makeReady(client, node, 'before');
    await answerTo('before');
    await makeReady(client, node, 'other');
    await node.restart();
    const before = attempts();
    expect(await answerTo('before')).toBe('before@1');
    expect(attempts() - before).toBe(2);
  });
});

describe('a name that is about to change', () => {
  it('is resolved for each request alone, and remembered again once it has', async () => {
    await makeReady(client, node, 'pending');
    const { seq } = await proposeChange(db, client.tenant, 'pending', 1);
    const key = `${client.tenant} pending`;
    expect(await answerTo('pending')).toBe('pending@1');
    expect(isolate.adapters.get(key)).toBeUndefined();
    await settleChange(db, seq);
    await answerTo('pending');
    expect(isolate.adapters.get(key)?.asOf).toBeGreaterThanOrEqual(seq);
  });

  it('may not change any more once the change was given up', async () => {
    await makeReady(client, node, 'slow');
    const original = globalThis.fetch;
    globalThis.fetch = async (...call) => {
      await settleAbandoned(db, Number.MAX_SAFE_INTEGER);
      return original(...call);
    };
    const answer = await remove('slow');
    globalThis.fetch = original;
    expect(problemOf(answer)).toMatchObject({ status: 503, code: 'no_capacity' });
    expect(await answerTo('slow')).toBe('slow@1');
  });

  it('is pending no more however its change ends', async () => {
    await remove('never-was');
    await makeReady(client, node, 'ended');
    await remove('ended');
    expect(await db.select().from(changes).where(eq(changes.pending, true))).toEqual([]);
  });
});

describe('a node that does not acknowledge a change', () => {
  /** Runs `change` beside a deaf node; gives what is seen of the adapter meanwhile, and then lets the node hear. */
  async function beside(change: () => Promise<unknown>, look: () => Promise<unknown>) {
    const deaf = await new TestNode(node.baseModel).register();
    const original = globalThis.fetch;
    let refused = 0;
    let hears = false;
    globalThis.fetch = async (...call) => {
      const isToDeaf = String(call[0]).startsWith(`${deaf.url}/internal/changes`);
      if (!isToDeaf || hears) return original(...call);
      refused++;
      throw new TypeError('connection refused');
    };
    const changed = change();
    await expect.poll(() => refused).toBeGreaterThan(1);
    const meanwhile = await look();
    hears = true;
    await changed;
    globalThis.fetch = original;
    await db.delete(nodes).where(eq(nodes.id, deaf.id));
    return meanwhile;
  }

  it('holds back a deletion', async () => {
    await makeReady(client, node, 'held');
    expect(
      await beside(
        () => remove('held'),
        () => answerTo('held'),
      ),
    ).toBe('held@1');
    expect(await answerTo('held')).toBe(404);
  });

  it('holds back a new version, and every sign that it is ready', async () => {
    await makeReady(client, node, 'held');
    await submit(client, 'held', { base_model: node.baseModel });
    const lease = (await node.lease())!;
    const signs = async () => [
      await answerTo('held'),
      (await client.call('/v1/adapters/held@2')).body.status,
      (await client.call(`/v1/fine_tuning/jobs/${lease.job_id}`)).body.status,
    ];
    expect(await beside(() => finish(lease), signs)).toEqual(['held@1', 'training', 'running']);
    expect(await signs()).toEqual(['held@2', 'ready', 'succeeded']);
  });
});

describe('a node without a serving lease', () => {
  it('answers nothing: another does, or the client is told to come back', async () => {
    await makeReady(client, node, 'cut-off');
    const twin = await new TestNode(node.baseModel).register();
    for (const cut of [node, twin]) {
      cut.now += 10_000;
      expect(await answerTo('cut-off')).toBe('cut-off@1');
      await cut.beat();
    }
    for (const cut of [node, twin]) cut.now += 10_000;
    const answer = await classify('cut-off');
    expect(problemOf(answer)).toMatchObject({ status: 503, code: 'no_capacity' });
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    for (const cut of [node, twin]) await cut.beat();
    await db.delete(nodes).where(eq(nodes.id, twin.id));
  });

  it('learns by its next heartbeat what it was not told', async () => {
    const deaf = await new TestNode(node.baseModel).register();
    const { seq } = await proposeChange(db, client.tenant, 'unheard', 1);
    await settleChange(db, seq);
    const { serving } = await deaf.beat();
    expect(serving.changes).toContainEqual({ tenant: client.tenant, name: 'unheard', seq });
    expect(serving.head).toBeGreaterThanOrEqual(seq);
    expect((await deaf.beat()).serving.changes).toEqual([]);
    await db.delete(nodes).where(eq(nodes.id, deaf.id));
  });
});

/** mulberry32 */
function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

it('never answers by what was, whatever happens in whichever isolate (seeded)', async () => {
  const random = seeded(7);
  const memories = Array.from({ length: 4 }, () => new ExpiringCache<never>({ ttlMs: 1e9, max: 100 }));
  const mine = isolate.adapters;
  const twin = await new TestNode(node.baseModel).register();
  const names = ['a', 'b'];
  const versions = new Map(names.map((name) => [name, [] as number[]]));
  for (const name of names) {
    await makeReady(client, node, name);
    versions.get(name)!.push(1);
  }
  const prod = new Map<string, number>();
  let stale = 0;
  for (let step = 0; step < 120; step++) {
    isolate.adapters = memories[random(memories.length)]!;
    const name = names[random(names.length)]!;
    const ready = versions.get(name)!;
    const event = random(20);
    if (event === 0) {
      const id = await makeReady(client, node, name);
      ready.push(Number(id.split('@')[1]));
    } else if (event === 1 && ready.length > 0) {
      const gone = ready[random(ready.length)]!;
      const { status } = await remove(`${name}@${gone}`);
      expect(status).toBe(gone === prod.get(name) ? 409 : 200);
      if (status === 200) ready.splice(ready.indexOf(gone), 1);
    } else if (event === 2) {
      await [node, twin][random(2)]!.restart();
    } else if (event === 3 && ready.length > 0) {
      const version = ready[random(ready.length)]!;
      await client.call(`/v1/adapters/${name}/aliases/prod`, { method: 'PUT', json: { version } });
      prod.set(name, version);
    } else if (event % 2 === 0) {
      const version = prod.get(name);
      const expected = version === undefined ? 404 : `${name}@${version}`;
      expect(await answerTo(`${name}@prod`), `step ${step}`).toBe(expected);
    } else {
      const before = attempts();
      const last = ready.at(-1);
      expect(await answerTo(name), `step ${step}`).toBe(last === undefined ? 404 : `${name}@${last}`);
      if (attempts() - before > 1 || (last === undefined && attempts() > before)) stale++;
    }
  }
  isolate.adapters = mine;
  await db.delete(nodes).where(eq(nodes.id, twin.id));
  // What this is about did happen.
  expect(stale).toBeGreaterThan(3);
});
