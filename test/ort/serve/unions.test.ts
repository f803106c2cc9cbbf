import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { laneBytes } from '../../../gpu-node/serve/lanes.ts';
import type { PeftConfig } from '../../../shared/peft-config.ts';
import { methodBundle } from '../../support/method-bundles.ts';
import { startTinyNode, type TinyNode } from '../../support/tiny-node.ts';

const common = { pooling: 'mean', base_precision: 'fp32' } as const;
const lora = (target_modules: string[], use_dora = false): PeftConfig => ({
  ...common,
  type: 'lora',
  r: 4,
  alpha: 4,
  dropout: 0,
  use_rslora: false,
  use_dora,
  target_modules,
});
/** Each has a plan of its own. */
const METHODS: PeftConfig[] = [
  lora(['query', 'value']),
  lora(['query', 'key', 'value', 'intermediate.dense']),
  lora(['query', 'value'], true),
  {
    ...common,
    type: 'ia3',
    target_modules: ['key', 'value', 'intermediate.dense'],
    feedforward_modules: ['intermediate.dense'],
  },
  { ...common, type: 'bitfit', biases: 'all' },
  {
    ...common,
    type: 'bottleneck',
    placement: 'pfeiffer',
    width: 3,
    activation: 'relu',
    scaling: 1,
  },
  {
    ...common,
    type: 'prefix_tuning',
    num_virtual_tokens: 5,
    prefix_projection: false,
    encoder_hidden_size: 8,
    dropout: 0,
  },
  {
    ...common,
    type: 'unipelt',
    num_virtual_tokens: 2,
    prefix_projection: false,
    encoder_hidden_size: 8,
    dropout: 0,
    width: 2,
    activation: 'relu',
    scaling: 1,
    r: 2,
    target_modules: ['query', 'value'],
  },
];
/** Requests after which an advice that there is reason for has been given, many times over. */
const MANY = 40;

interface Text {
  bundle: string;
  text: string;
}

interface Answer {
  scores: number[];
}

/** For sessions that are built while requests are answered. */
const patience = { interval: 1, timeout: 30_000 };

let node: TinyNode;
let bundles: string[];
beforeAll(async () => {
  node = await startTinyNode();
  bundles = await adapters(node);
});
afterAll(() => node.stop());

/** An adapter of each method, with different numbers of labels. */
async function adapters({ base, shelf }: TinyNode): Promise<string[]> {
  return Promise.all(
    METHODS.map(async (config, i) => shelf.put(await methodBundle({ base, config, labels: 2 + i }, i))),
  );
}

/** Texts of different lengths for each adapter, near enough to share a run, in an order of no pattern. */
function textsFor(bundles: readonly string[]): Text[] {
  const rows = bundles.flatMap((bundle, i) => [
    { bundle, text: 'a '.repeat(1 + (i % 3)) },
    { bundle, text: 'a '.repeat(3 - (i % 3)) },
  ]);
  return rows.map((_, i) => rows[(i * 5 + 3) % rows.length]!);
}

async function runsOf(rows: readonly Text[], at = node): Promise<number> {
  const before = at.classifier.metrics.runs;
  await at.classify(...rows);
  return at.classifier.metrics.runs - before;
}

function expectSame(actual: readonly Answer[], expected: readonly Answer[]): void {
  for (const [i, { scores }] of actual.entries()) {
    expect(scores).toHaveLength(expected[i]!.scores.length);
    for (const [label, score] of scores.entries()) {
      expect(Math.abs(score - expected[i]!.scores[label]!)).toBeLessThan(1e-5);
    }
  }
}

describe('adapters of several plans', () => {
  it('that are asked for one at a time keep their own sessions: none would be spared a run', async () => {
    // The narrowest plan comes first, so that none is covered by a session that is there.
    for (let i = 0; i < MANY; i++) {
      for (const bundle of bundles) await node.classify({ bundle, text: 'a text' });
    }
    expect(node.classifier.sessions).toBe(METHODS.length);
  });

  it('that are asked for together share one run once the session of their union is open, each text with the scores that it gets alone; until then they are answered too', async () => {
    const rows = textsFor(bundles);
    const expected: Answer[] = [];
    for (const row of rows) expected.push(...(await node.classify(row)).rows);
    expect(await runsOf(rows)).toBe(METHODS.length);
    const askAll = async () => {
      expectSame((await node.classify(...rows)).rows, expected);
      return node.classifier.sessions;
    };
    await expect.poll(askAll, patience).toBe(1);
    expect(await runsOf(rows)).toBe(1);
    await askAll();
    expectSame((await node.classify(...rows.toReversed())).rows, expected.toReversed());
    for (const [i, row] of rows.entries()) expectSame((await node.classify(row)).rows, [expected[i]!]);
    // They were loaded from memory, not from disk.
    expect(await node.metric('adapter_loads_total', '{outcome="ok"}')).toBe(METHODS.length);
  });

  it('leave their union again when one of them is all that is used', async () => {
    expect(node.classifier.sessions).toBe(1);
    const seen = new Set<number>();
    const useOne = async () => {
      for (let i = 0; i < MANY; i++) {
        await node.classify({ bundle: bundles[0]!, text: 'a text' });
        seen.add(node.classifier.sessions);
      }
      return [[...seen], node.classifier.sessions];
    };
    // A session of its own beside the union, and then that alone.
    await expect.poll(useOne, patience).toEqual([[1, 2], 1]);
    await node.classify({ bundle: bundles[3]!, text: 'a text' });
    expect(node.classifier.sessions).toBe(2);
  });

  it('keep their own sessions where there is no room for that of a union beside them', async () => {
    const small = await startTinyNode({ sessionBytes: 2.5 * laneBytes(node.base.architecture, 'fp32') });
    const [narrow, , , ia3] = await adapters(small);
    const rows = textsFor([narrow!, ia3!]);
    for (let i = 0; i < MANY; i++) expect(await runsOf(rows, small)).toBe(2);
    expect(small.classifier.sessions).toBe(2);
    expect(await small.metric('session_bytes')).toBeLessThanOrEqual(
      2.5 * laneBytes(node.base.architecture, 'fp32'),
    );
    await small.stop();
  });
});
