import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadTokenizer } from '../gpu-node/data/tokenizer.ts';
import { Random } from '../gpu-node/random.ts';
import type { TrainingExample } from '../gpu-node/train/runner.ts';

export interface BatchShape {
  /** Batches to make. */
  readonly count: number;
  readonly rows: number;
  /** Tokens of a row, special tokens included; texts are cut there. */
  readonly length: number;
}

export interface Batches {
  readonly batches: readonly TrainingExample[][];
  /** Number of classes. */
  readonly labels: number;
}

/** Unpadded rows of random token ids with four random labels. */
export function randomBatches(vocabSize: number, { count, rows, length }: BatchShape): Batches {
  const random = new Random(1, 'batches');
  const row = () => ({
    ids: Int32Array.from({ length }, () => random.below(vocabSize)),
    label: random.below(4),
  });
  return { batches: Array.from({ length: count }, () => Array.from({ length: rows }, row)), labels: 4 };
}

/** Batches of the distinct texts of `folder/train.jsonl`, in the order of the file. @throws when there are too few. */
export async function batchesOfTexts(folder: string, base: string, shape: BatchShape): Promise<Batches> {
  const { count, rows, length } = shape;
  const lines = (await readFile(join(folder, 'train.jsonl'), 'utf8')).split('\n').filter(Boolean);
  const examples = lines.map((line) => JSON.parse(line) as { text: string; label: string });
  const labels = [...new Set(examples.map(({ label }) => label))].sort();
  const distinct = new Map(examples.map((example) => [example.text, example]));
  if (distinct.size < count * rows) {
    throw new Error(`${folder} has ${distinct.size} distinct texts, ${count} batches of ${rows} need more`);
  }
  const tokenizer = await loadTokenizer(base);
  const tokenized = [...distinct.values()].slice(0, count * rows).map(({ text, label }) => ({
    ids: tokenizer.encode(text, length).ids,
    label: labels.indexOf(label),
  }));
  const batches = Array.from({ length: count }, (_, i) => tokenized.slice(i * rows, (i + 1) * rows));
  return { batches, labels: labels.length };
}
