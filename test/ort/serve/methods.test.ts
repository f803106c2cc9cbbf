import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../../gpu-node/random.ts';
import type { PeftConfig } from '../../../shared/peft-config.ts';
import { methodBundle } from '../../support/method-bundles.ts';
import { METHOD_CONFIGS } from '../../support/method-configs.ts';
import { startTinyNode, type TinyNode } from '../../support/tiny-node.ts';

/** Of each method those that cover its variants and both poolings, and models of their own, which share no run with others. */
const CONFIGS: readonly PeftConfig[] = [
  ...Object.values(METHOD_CONFIGS).flatMap((configs) => [0, 3, 5].flatMap((i) => configs[i] ?? [])),
  { type: 'full', pooling: 'mean', base_precision: 'fp32' },
  { type: 'full', pooling: 'cls', base_precision: 'fp32' },
];
const WORDS = 'the quick brown fox jumps over a lazy dog in the forest and money makes shares'.split(' ');

interface Row {
  bundle: string;
  text: string;
}

let node: TinyNode;
let rows: Row[];
/** What each row gets in a request of its own. */
let alone: Map<Row, number[]>;
beforeAll(async () => {
  node = await startTinyNode();
  const random = new Random(5, 'rows');
  const textOf = (words: number) => Array.from({ length: words }, () => WORDS[random.below(WORDS.length)]!);
  const each = await Promise.all(
    CONFIGS.map(async (config, i) => {
      const task = { base: node.base, config, labels: 2 + (i % 7) };
      const bundle = await node.shelf.put(await methodBundle(task, i));
      // The longest is cut, with virtual tokens to what they leave.
      return [1 + random.below(20), 90].map((words) => ({ bundle, text: textOf(words).join(' ') }));
    }),
  );
  rows = each.flat();
  alone = new Map();
  for (const row of rows) alone.set(row, (await node.classify(row)).rows[0]!.scores);
}, 60_000);
afterAll(() => node.stop());

/** That each row of a request gets what it got alone. */
async function expectAsAlone(order: readonly Row[]): Promise<void> {
  const { rows: answers } = await node.classify(...order);
  for (const [i, { scores }] of answers.entries()) {
    const expected = alone.get(order[i]!)!;
    expect(scores).toHaveLength(expected.length);
    const differences = scores.map((score, label) => Math.abs(score - expected[label]!));
    const config = CONFIGS[rows.indexOf(order[i]!) >> 1];
    expect(Math.max(...differences), JSON.stringify(config)).toBeLessThan(1e-5);
  }
}

describe('a request whose rows use every method', () => {
  it('has rows whose adapters tell texts apart', () => {
    for (let i = 0; i < rows.length; i += 2) {
      const [a, b] = [alone.get(rows[i]!)!, alone.get(rows[i + 1]!)!];
      expect(Math.max(...a.map((score, label) => Math.abs(score - b[label]!)))).toBeGreaterThan(1e-4);
    }
  });

  it('gives each row what it gets alone, in any order, over label counts and lengths of texts', async () => {
    await expectAsAlone(rows);
    await expectAsAlone(rows.toReversed());
    await expectAsAlone(new Random(6, 'order').shuffle([...rows, ...rows]));
  });
});
