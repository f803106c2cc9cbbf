import { validationRows } from '../../shared/auto-values.ts';
import { AppError } from '../../shared/errors.ts';
import type { LabelCount } from '../../shared/look-alike.ts';
import { foldsByLabel, sortLabels, splitByLabel } from '../data/dataset.ts';
import { findRepeats, type HashedRows, type Repeats } from '../data/repeats.ts';
import { type TokenizedDataset, type TokenizeOptions, tokenizeDataset } from '../data/tokenized-dataset.ts';
import { methodOf } from '../methods/index.ts';
import { Random } from '../random.ts';
import { foldsFor } from './folds.ts';
import type { TrainingSpec } from './protocol.ts';

/** Rows of a dataset that serve one purpose. */
export interface DataPart {
  readonly dataset: TokenizedDataset;
  readonly rows: Uint32Array;
}

/** Rows to train on and to validate with; both may come from one file. */
export interface FoldRows {
  readonly training: DataPart;
  readonly validation: DataPart;
}

export interface TrainingData {
  /** Labels in the order of the classifier's rows. */
  readonly labels: readonly string[];
  /** All have the same rows in all; of several, each validates with rows of its own. */
  readonly folds: readonly FoldRows[];
}

/**
 * Tokenizes a job's datasets and sets rows aside.
 * @throws {AppError} `invalid_dataset` with the line or the label at fault; the signal's reason where it is aborted
 */
export async function readTrainingData(spec: TrainingSpec, options: TokenizeOptions): Promise<TrainingData> {
  const dataset = await tokenizeDataset(spec.training_file, options);
  const labels = spec.resolved?.labels ?? sortLabels(dataset.labelNames);
  requireLabels(dataset, labels, 'training');
  if (spec.validation_file !== null) {
    const validation = await tokenizeDataset(spec.validation_file, options);
    requireLabels(validation, labels, 'validation');
    return { labels, folds: [{ training: whole(dataset), validation: whole(validation) }] };
  }
  return {
    labels,
    folds: splitRows(spec, dataset).map(({ training, validation }) => ({
      training: { dataset, rows: training },
      validation: { dataset, rows: validation },
    })),
  };
}

function splitRows(spec: TrainingSpec, { labels }: TokenizedDataset) {
  const random = new Random(spec.seed, 'split');
  const count = foldsFor({
    effort: spec.aims.effort,
    rows: labels.length,
    rarest: Math.min(...[...Map.groupBy(labels, (label) => label).values()].map(({ length }) => length)),
    validationGiven: spec.validation_split !== 'auto',
    wholeModel: methodOf(spec.method).wholeModel !== undefined,
  });
  if (count === 1)
    return [splitByLabel(labels, validationRows(spec.validation_split, labels.length), random)];
  return foldsByLabel(labels, count, random);
}

function whole(dataset: TokenizedDataset): DataPart {
  return { dataset, rows: Uint32Array.from(dataset.labels.keys()) };
}

function requireLabels({ labelNames }: TokenizedDataset, labels: readonly string[], file: string): void {
  if (labels.length < 2) {
    throw new AppError(
      'invalid_dataset',
      `the training file holds ${labels.length} label, at least 2 are needed`,
    );
  }
  const known = new Set(labels);
  const unknown = labelNames.find((label) => !known.has(label));
  if (unknown === undefined) return;
  throw new AppError(
    'invalid_dataset',
    `the ${file} file holds the label ${JSON.stringify(unknown)}, which no training row has`,
    { param: `${file}_file` },
  );
}

/** Number of tokens of each row of a part, before texts are cut below what the base model takes. */
export function lengthsOf({ dataset, rows }: DataPart): number[] {
  return Array.from(rows, (row) => dataset.lengths[row]!);
}

/** Number of texts, and of those that `maxLength` cuts; `longest` is the length they were tokenized to. */
export function countTruncated({ training, validation }: FoldRows, maxLength: number, longest: number) {
  const datasets = [...new Set([training.dataset, validation.dataset])];
  const countOf = ({ lengths, truncated }: TokenizedDataset) =>
    maxLength < longest
      ? lengths.reduce((count, length) => count + Number(length > maxLength), 0)
      : truncated;
  return {
    texts: datasets.reduce((sum, { lengths }) => sum + lengths.length, 0),
    truncated: datasets.reduce((sum, dataset) => sum + countOf(dataset), 0),
  };
}

/** Number of rows of each label in both parts. */
export function countLabels(labels: readonly string[], { training, validation }: FoldRows): LabelCount[] {
  const counts = new Map(labels.map((label) => [label, 0]));
  for (const { dataset, rows } of [training, validation]) {
    for (const row of rows) {
      const label = dataset.labelNames[dataset.labels[row]!]!;
      counts.set(label, counts.get(label)! + 1);
    }
  }
  return [...counts];
}

/** Texts that occur more than once in a job's rows. */
export function repeatsIn({ labels, folds }: TrainingData): Repeats {
  const hashed = ({ dataset, rows }: DataPart): HashedRows => {
    const order = dataset.labelNames.map((name) => labels.indexOf(name));
    return {
      hashes: Float64Array.from(rows, (row) => dataset.hashes[row]!),
      labels: Uint16Array.from(rows, (row) => order[dataset.labels[row]!]!),
    };
  };
  const repeats = folds.map(({ training, validation }) => findRepeats(hashed(training), hashed(validation)));
  return { ...repeats[0]!, leaked: repeats.reduce((sum, { leaked }) => sum + leaked, 0) };
}
