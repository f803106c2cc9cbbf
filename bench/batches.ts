import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadTokenizer } from '../gpu-node/data/tokenizer.ts';
import { Random } from '../gpu-node/random.ts';
import type { TrainingExample } from '../gpu-node/train/parts.ts';

export interface BatchShape {
  /** Number of batches. */
  readonly count: number;
  readonly rows: number;
  /** Tokens of a row, special tokens included; longer texts are cut. */
  readonly length: number;
}

export interface Batches {
  readonly batches: readonly TrainingExample[][];
  /** Number of classes. */
  readonly labels: number;
}

export interface TokenizedTexts {
  readonly examples: readonly TrainingExample[];
  readonly labels: number;
  /** Milliseconds that tokenizing took. */
  readonly ms: number;
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
  const { examples, labels } = await tokenizedTexts(folder, base, length, count * rows);
  if (examples.length < count * rows) {
    const has = `${folder} has ${examples.length} distinct texts`;
    throw new Error(`${has}, ${count} batches of ${rows} need more`);
  }
  return { batches: chunks(examples, rows), labels };
}

/** The first `count` distinct texts of `folder/train.jsonl` in the order of the file, each cut at `length` tokens. */
export async function tokenizedTexts(
  folder: string,
  base: string,
  length: number,
  most = Number.POSITIVE_INFINITY,
): Promise<TokenizedTexts> {
  const lines = (await readFile(join(folder, 'train.jsonl'), 'utf8')).split('\n').filter(Boolean);
  const rows = lines.map((line) => JSON.parse(line) as { text: string; label: string });
  const labels = [...new Set(rows.map(({ label }) => label))].sort();
  const distinct = [...new Map(rows.map((row) => [row.text, row])).values()].slice(0, most);
  const tokenizer = await loadTokenizer(base);
  const start = performance.now();
  const examples = distinct.map(({ text, label }) => ({
    ids: tokenizer.encode(text, length).ids,
    label: labels.indexOf(label),
  }));
  return { examples, labels: labels.length, ms: performance.now() - start };
}

/** One epoch in the order of HF's Trainer: shuffled, cut into batches. */
export function shuffledBatches(examples: readonly TrainingExample[], rows: number): TrainingExample[][] {
  return chunks(new Random(1, 'shuffle').shuffle([...examples]), rows);
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, i) => items.slice(i * size, (i + 1) * size));
}
