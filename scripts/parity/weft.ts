import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { unpackTar } from 'modern-tar/fs';
import { trainInProcess } from '../../gpu-node/daemon/train-process.ts';
import { createLog } from '../../gpu-node/log.ts';
import { Classifier } from '../../gpu-node/serve/classifier.ts';
import { Exporter } from '../../gpu-node/serve/exporter.ts';
import { bundleId, copyBundle, readBundleFiles } from '../../gpu-node/weights/bundle-files.ts';
import type { LocatedBaseModel } from '../../gpu-node/weights/locate-base-model.ts';
import { WEFT_FILE, type WeftFile } from '../../shared/adapter-format.ts';
import type { Example } from '../../shared/api/rows.ts';
import { hyperparametersRequest, type PeftRequest } from '../../shared/peft-config.ts';

const THREADS = 2;
/** Tokens that the adapters read, those trained here and there. */
export const MAX_LENGTH = 48;
const TRAINER = new URL('../../gpu-node/train/main.ts', import.meta.url);

/** A base model with the folder for files made of it. */
export interface ParityBase extends LocatedBaseModel {
  weightsFolder: string;
}

/** Trains an adapter into a new folder as a job does, in a training process. */
export async function trainHere(
  base: ParityBase,
  folder: string,
  rows: readonly Example[],
  method: PeftRequest,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'training.jsonl');
  await writeFile(file, rows.map((row) => JSON.stringify(row)).join('\n'));
  const { id, sha256, weightsFolder } = base;
  await trainInProcess({
    entry: TRAINER,
    spec: {
      base_model: { id, folder: base.folder, sha256, weights_folder: weightsFolder },
      training_file: file,
      validation_file: null,
      validation_split: 'auto',
      aims: { effort: 'fast', metric: 'auto' },
      method,
      // The learning rate is large, because an adapter close to its start would prove little.
      hyperparameters: hyperparametersRequest.parse({
        epochs: 2,
        batch_size: 8,
        learning_rate: 5e-3,
        max_length: MAX_LENGTH,
      }),
      auto_precision: 'fp32',
      resolved: null,
      seed: 1,
      output_folder: folder,
      device: 'cpu',
      threads: 1,
    },
    onNews: () => {},
    signal: new AbortController().signal,
  });
}

/** Adds to a library's files what an import adds. */
export async function adopt(
  folder: string,
  weft: Omit<WeftFile, 'format' | 'base_precision' | 'metrics'>,
): Promise<void> {
  const file: WeftFile = { format: 1, base_precision: 'fp32', metrics: null, ...weft };
  await writeFile(join(folder, WEFT_FILE), JSON.stringify(file));
}

/** Serves the adapters of some folders in one mixed batch. Returns log probabilities `[folder][text][label]`. */
export async function serve(
  base: ParityBase,
  folders: readonly string[],
  texts: readonly string[],
  cache: string,
): Promise<number[][][]> {
  const { classifier, bundles } = await openNode(base, folders, cache);
  try {
    const rows = texts.flatMap((text) => bundles.map((bundle) => ({ bundle, text })));
    const answer = await classifier.classify({ rows }, new AbortController().signal);
    return folders.map((_, adapter) =>
      texts.map((_, text) => answer.rows[text * folders.length + adapter]!.scores.map(Math.log)),
    );
  } finally {
    await classifier.stop();
  }
}

/** Writes each adapter's transformers folder, as a node exports it, into the folder `merged` beside the adapter's files. */
export async function exportMerged(
  base: ParityBase,
  folders: readonly string[],
  cache: string,
): Promise<void> {
  const { classifier, bundles } = await openNode(base, folders, cache);
  const exporter = new Exporter({ bases: [base], store: classifier.store, cache });
  try {
    for (const [i, bundle] of bundles.entries()) {
      const { body } = await exporter.export(bundle, new AbortController().signal);
      await pipeline(body, unpackTar(join(folders[i]!, 'merged')));
    }
  } finally {
    await classifier.stop();
  }
}

/** A node's serving engine, and the bundles of the adapters in some folders. */
async function openNode(base: ParityBase, folders: readonly string[], cache: string) {
  const log = createLog(process.stderr, true);
  const bundles = await Promise.all(folders.map(bundleOf));
  const byBundle = new Map(bundles.map((bundle, i) => [bundle, folders[i]!]));
  const source = {
    downloadAdapter: (bundle: string, folder: string) => copyBundle(byBundle.get(bundle)!, folder),
  };
  const limits = {
    slots: 16,
    batchTokens: 4096,
    queueTokens: 2 ** 20,
    memoryBytes: 2 ** 30,
    sessionBytes: 2 ** 30,
  };
  const classifier = await Classifier.open({
    bases: [base],
    cache: { folder: cache, maxBytes: 2 ** 30, source },
    device: 'cpu',
    threads: THREADS,
    ...limits,
    log,
  });
  return { classifier, bundles };
}

async function bundleOf(folder: string): Promise<string> {
  return bundleId(readBundleFiles(folder));
}
