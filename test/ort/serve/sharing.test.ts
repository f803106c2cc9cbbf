import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problemOf, startTinyNode, type TinyNode } from '../../support/tiny-node.ts';

let node: TinyNode;
beforeAll(async () => {
  node = await startTinyNode();
});
afterAll(() => node.stop());

describe('refusals', () => {
  it('are 429 with Retry-After where a tenant has its share of the queue, until it has not', async () => {
    const [held, ready] = [await node.adapter({ seed: 62 }), await node.adapter({ seed: 65 })];
    await node.classify({ bundle: ready, text: 'warm' });
    const open = node.holdBack(held);
    const row = { bundle: held, text: 'long '.repeat(512) };
    const filling = node.sendAs(
      'flood',
      Array.from({ length: 256 }, () => row),
    );
    await expect.poll(() => node.classifier.queue, { interval: 1 }).toBe(256);
    const refused = await node.sendAs('flood', [{ bundle: ready, text: 'x' }]);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await problemOf(refused)).toEqual([429, 'rate_limited', null]);
    expect((await node.sendAs('other', [{ bundle: ready, text: 'x' }])).status).toBe(200);
    open();
    expect((await filling).status).toBe(200);
    expect((await node.sendAs('flood', [{ bundle: ready, text: 'x' }])).status).toBe(200);
    expect(node.classifier.queue).toBe(0);
    expect(await node.metric('queue_tokens')).toBe(0);
  });

  it('come as soon as the deadline of the caller is over, and leave nothing in the queue', async () => {
    const bundle = await node.adapter({ seed: 67 });
    const open = node.holdBack(bundle);
    const runs = node.classifier.metrics.runs;
    const rows = [{ bundle, text: 'x' }];
    expect(await problemOf(await node.post('/internal/classify', { rows, deadline_ms: 20 }))).toEqual([
      503,
      'no_capacity',
      null,
    ]);
    expect(node.classifier.queue).toBe(0);
    expect(await node.metric('classify_expired_total')).toBe(1);
    open();
    await expect.poll(() => node.tierOf(bundle)).toBe('memory');
    expect(node.classifier.metrics.runs).toBe(runs);
    const body = { rows, deadline_ms: 60_000 };
    expect((await node.post('/internal/classify', body)).status).toBe(200);
  });
});

describe('tenants', () => {
  it('wait for their own texts: a flood of one keeps no other waiting', async () => {
    const bundle = await node.adapter({ seed: 80 });
    await node.classify({ bundle, text: 'warm' });
    const rows = Array.from({ length: 256 }, () => ({ bundle, text: 'long '.repeat(40) }));
    let flooding = 12;
    const flood = Array.from({ length: flooding }, () =>
      node.sendAs('flood', rows).then(() => {
        flooding--;
      }),
    );
    await expect.poll(() => node.classifier.queue, { interval: 1 }).toBe(12 * 256);
    expect((await node.sendAs('quiet', [{ bundle, text: 'x' }])).status).toBe(200);
    expect(flooding).toBeGreaterThan(0);
    await Promise.all(flood);
  });
});

describe('tiers', () => {
  it('are told from outside: null, disk, memory, slot', async () => {
    const bundle = await node.adapter({ seed: 90 });
    expect(await node.tierOf(bundle)).toBeNull();
    await node.store.read(bundle);
    expect(await node.tierOf(bundle)).toBe('disk');
    expect((await node.post('/internal/warm', { bundles: [bundle] })).status).toBe(202);
    await expect.poll(() => node.tierOf(bundle)).toBe('memory');
    await node.classify({ bundle, text: 'x' });
    expect(await node.tierOf(bundle)).toBe('slot');
    const { status } = await node.get('/internal/adapters/x');
    expect(status).toBe(422);
  });

  it('are warmed in the background: what fails is logged and counted, the rest is loaded once', async () => {
    const bundle = await node.adapter({ seed: 91 });
    const failures = (await node.metric('adapter_loads_total', '{outcome="adapter_not_found"}')) ?? 0;
    const bundles = ['d'.repeat(64), bundle];
    const answer = await node.post('/internal/warm', { bundles });
    expect([answer.status, await answer.json()]).toEqual([202, { accepted: 2 }]);
    await expect.poll(() => node.tierOf(bundle)).toBe('memory');
    await expect
      .poll(() => node.metric('adapter_loads_total', '{outcome="adapter_not_found"}'))
      .toBe(failures + 1);
    expect(node.lines.map(({ message }) => message)).toContain(
      'an adapter could not be loaded ahead of its use',
    );
    const loads = await node.metric('adapter_loads_total', '{outcome="ok"}');
    await node.classify({ bundle, text: 'x' });
    expect(await node.metric('adapter_loads_total', '{outcome="ok"}')).toBe(loads);
  });
});

describe('metrics', () => {
  it('show where the time of a request went, how full its batch was and where its adapter lay', async () => {
    const bundle = await node.adapter({ seed: 95 });
    const names = [
      ['stage_seconds', '_count{stage="tokenize"}'],
      ['stage_seconds', '_count{stage="queue"}'],
      ['batch_rows', '_bucket{le="2"}'],
      ['batch_fill_ratio', '_count{}'],
      ['adapter_misses_total', '{tier="memory"}'],
      ['adapter_misses_total', '{tier="disk"}'],
      ['adapter_misses_total', '{tier="slot"}'],
      ['adapter_hits_total', '{tier="slot"}'],
    ] as const;
    const read = () => Promise.all(names.map(([name, labels]) => node.metric(name, labels)));
    const before = await read();
    const { timing } = await node.classify({ bundle, text: 'x' }, { bundle, text: 'y' });
    const after = await read();
    expect(after.map((value, i) => value! - before[i]!)).toEqual([1, 1, 1, 1, 1, 1, 1, 0]);
    for (const part of Object.values(timing)) expect(part).toBeGreaterThan(0);
    await node.classify({ bundle, text: 'x' });
    expect((await read())[7]! - after[7]!).toBe(1);
  });
});
