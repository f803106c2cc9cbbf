import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { laneBytes } from '../../../gpu-node/serve/lanes.ts';
import { problemOf, startTinyNode, type TinyNode } from '../../support/tiny-node.ts';

/** Adapters of each of these target other layers, and need sessions of their own. */
const SORTS = [['query'], ['key'], ['value'], ['attention.output.dense'], ['intermediate.dense']];
const ROOM = 2;

let node: TinyNode;
let maxBytes: number;
let bundles: string[];
beforeAll(async () => {
  const { base, stop } = await startTinyNode();
  await stop();
  // Room for as many groups of one lane, and for what they write into their stacks.
  maxBytes = (ROOM + 0.5) * laneBytes(base.architecture, 'fp32');
  node = await startTinyNode({ sessionBytes: maxBytes });
  bundles = await Promise.all(SORTS.map((targets, seed) => node.adapter({ seed, targets })));
});
afterAll(() => node.stop());

/** What the system says that this process holds. */
const threads = () => readdirSync('/proc/self/task').length;
const mappedWeights = () =>
  readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.endsWith('.weights')).length;

describe('more sorts of adapters than there is room for sessions', () => {
  it('and more texts than the caller has time for are told apart: the pace, and what to change', async () => {
    const open = node.holdBack(bundles[0]!);
    // Nothing has run, so that the pace is the one that a node starts with.
    const rows = Array.from({ length: 256 }, () => ({ bundle: bundles[0]!, text: 'long '.repeat(40) }));
    const answer = await node.post('/internal/classify', { rows, deadline_ms: 50 });
    expect(await problemOf(answer.clone())).toEqual([422, 'deadline_too_short', 'x-timeout-ms']);
    expect(await answer.text()).toContain('0 of their');
    open();
    await expect.poll(() => node.tierOf(bundles[0]!)).toBe('memory');
  });

  it('are answered in one request, in turns, with the scores that each text gets alone', async () => {
    const rows = [...bundles, ...bundles].map((bundle, i) => ({ bundle, text: `text ${i} of many sorts` }));
    const mixed = await node.classify(...rows);
    expect(Object.keys(mixed.labels).sort()).toEqual([...bundles].sort());
    for (const [i, row] of rows.slice(3, 5).entries()) {
      const alone = (await node.classify(row)).rows[0]!.scores;
      for (const [label, score] of alone.entries()) {
        expect(mixed.rows[3 + i]!.scores[label]).toBeCloseTo(score, 5);
      }
    }
    expect(node.classifier.sessions).toBeLessThanOrEqual(ROOM);
    expect(await node.metric('session_bytes')).toBeLessThanOrEqual(maxBytes);
    expect(node.classifier.queue).toBe(0);
  });

  it('are answered in many requests at once: none waits for another that waits for it', async () => {
    const requests = Array.from({ length: 3 }, (_, i) =>
      SORTS.map((_, sort) => ({ bundle: bundles[(i + sort) % SORTS.length]!, text: `text ${sort}` })),
    );
    const answers = await Promise.all(requests.map((rows) => node.classify(...rows)));
    for (const { rows } of answers) expect(rows).toHaveLength(SORTS.length);
    expect(node.classifier.sessions).toBeLessThanOrEqual(ROOM);
  });

  it.runIf(process.platform === 'linux')(
    'leave no thread and no session behind when they give way',
    async () => {
      const ask = (bundle: string) => node.classify({ bundle, text: 'x' });
      for (const bundle of bundles.slice(0, ROOM)) await ask(bundle);
      const before = { threads: threads(), mappedWeights: mappedWeights() };
      const loads = await node.metric('adapter_loads_total', '{outcome="ok"}');
      for (const bundle of bundles) await ask(bundle);
      await expect.poll(() => ({ threads: threads(), mappedWeights: mappedWeights() })).toEqual(before);
      // The adapters themselves stay in memory, and are read from disk no more.
      expect(node.classifier.resident).toBe(SORTS.length);
      expect(await node.metric('adapter_loads_total', '{outcome="ok"}')).toBe(loads);
    },
  );

  it('take no more adapters of other sorts than are held when a caller leaves', async () => {
    const caller = new AbortController();
    const rows = bundles.map((bundle) => ({ bundle, text: 'x' }));
    const left = node.send(rows, { signal: caller.signal });
    caller.abort();
    await left;
    expect((await node.classify(...rows)).rows).toHaveLength(SORTS.length);
    expect(node.classifier.queue).toBe(0);
  });
});
