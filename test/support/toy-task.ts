import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Examples, TokenizedText } from '../../gpu-node/data/examples.ts';
import { Random } from '../../gpu-node/random.ts';
import type { TrainingSpec } from '../../gpu-node/train/protocol.ts';
import type { Example } from '../../shared/api/rows.ts';
import {
  type Hyperparameters,
  hyperparametersRequest,
  type LoraConfig,
  peftRequest,
} from '../../shared/peft-config.ts';
import { TINY_BERT } from './tiny-bert.ts';

export const TOY_LORA: LoraConfig = {
  type: 'lora',
  r: 4,
  alpha: 8,
  dropout: 0.1,
  use_rslora: false,
  use_dora: false,
  target_modules: ['query', 'value'],
  pooling: 'mean',
  base_precision: 'fp32',
};

export const TOY_HYPERPARAMETERS: Hyperparameters = {
  epochs: 4,
  batch_size: 8,
  learning_rate: 1e-2,
  max_length: 64,
  warmup_ratio: 0.06,
  weight_decay: 0.01,
  max_grad_norm: 1,
  class_weights: 'none',
};

/** Texts of random tokens of tiny-bert's vocabulary; in those of label 1 every other one is the same word. */
export function toyExamples(count: number, seed: number): TokenizedText[] {
  const random = new Random(seed, 'toy');
  return Array.from({ length: count }, (_, i) => {
    const label = i % 2;
    const word = (at: number) => (label === 1 && at % 2 === 0 ? 77 : 5 + random.below(190));
    const words = Array.from({ length: 3 + random.below(12) }, (_each, at) => word(at));
    return { ids: Int32Array.from([2, ...words, 3]), label };
  });
}

/** Examples that are in memory, as training reads them. */
export function examplesOf(list: readonly TokenizedText[]): Examples {
  return {
    lengths: list.map(({ ids }) => ids.length),
    labels: list.map(({ label }) => label),
    read: (numbers) => numbers.map((number) => list[number]!),
  };
}

const WORDS = {
  animal: ['fox', 'dog', 'jumps', 'runs', 'forest', 'lazy'],
  money: ['money', 'profit', 'shares', 'company', 'prize', 'offer'],
};

/** Labelled texts of words that tiny-bert's tokenizer knows. */
export function toyTexts(count: number, seed: number): Example[] {
  const random = new Random(seed, 'texts');
  return Array.from({ length: count }, (_, i) => {
    const label = i % 2 === 0 ? 'animal' : 'money';
    const words = Array.from({ length: 3 + random.below(8) }, () => WORDS[label][random.below(6)]!);
    return { text: words.join(' '), label };
  });
}

/** Writes datasets into `folder` and gives the spec of a short job on tiny-bert over them. */
export async function writeTrainingSpec(
  folder: string,
  training: readonly Example[],
  validation?: readonly Example[],
): Promise<TrainingSpec> {
  const write = async (name: string, rows: readonly Example[]) => {
    await writeFile(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    return join(folder, name);
  };
  const output_folder = join(folder, 'adapter');
  await mkdir(output_folder);
  return {
    base_model: { id: 'tiny-bert', folder: TINY_BERT, sha256: '0'.repeat(64), weights_folder: folder },
    training_file: await write('training.jsonl', training),
    validation_file: validation ? await write('validation.jsonl', validation) : null,
    validation_split: 'auto',
    aims: { effort: 'fast', metric: 'auto' },
    method: peftRequest.parse({ type: 'lora' }),
    hyperparameters: hyperparametersRequest.parse({ epochs: 3 }),
    auto_precision: 'fp32',
    resolved: null,
    seed: 42,
    output_folder,
    device: 'cpu',
    threads: 1,
  };
}
