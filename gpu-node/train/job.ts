import type { Example } from '../../shared/api/common.ts';
import type { Progress } from '../../shared/api/jobs.ts';
import type { ResolvedTraining } from '../../shared/api/nodes.ts';
import { AppError } from '../../shared/errors.ts';
import type { Hyperparameters } from '../../shared/peft-config.ts';
import { readExamples, sortLabels, stratifiedSplit, validationRows } from '../data/dataset.ts';
import { loadTokenizer, type Tokenizer } from '../data/tokenizer.ts';
import type { BaseModel } from '../models/model.ts';
import { type BaseModelOutline, openBaseModel, outlineBaseModel } from '../models/open-base-model.ts';
import { methodOf } from '../peft/index.ts';
import { Random } from '../random.ts';
import { writeAdapterFiles } from '../weights/adapter-file.ts';
import { peftBaseModel } from '../weights/base-models.ts';
import { resolveHyperparameters, resolveMethod, type TrainingFacts } from './auto.ts';
import { type EpochResult, type TrainingOutcome, train } from './loop.ts';
import type { FromTrainer, TrainingSpec } from './protocol.ts';
import { pause, type TrainingExample } from './runner.ts';

export type TrainingDone = Extract<FromTrainer, { type: 'done' }>;
type TrainingEvent = Extract<FromTrainer, { type: 'event' }>['event'];

export interface JobHooks {
  readonly signal: AbortSignal;
  onResolved(resolved: ResolvedTraining): void;
  onProgress(progress: Progress): void;
  onEvent(event: TrainingEvent): void;
}

/** Texts that are tokenized before a stop is listened for. */
const TEXTS_BETWEEN_PAUSES = 200;

/**
 * A job from dataset files to the adapter's files: reads, sets rows aside, tokenizes, decides what is `"auto"`, trains, writes.
 * @throws AppError about the dataset, the settings or the base model; the signal's reason where it is aborted
 */
export async function runJob(spec: TrainingSpec, hooks: JobHooks): Promise<TrainingDone> {
  const { id, folder, sha256, weights_folder } = spec.base_model;
  const source = { id, folder, sha256, weightsFolder: weights_folder };
  const outline = await outlineBaseModel(source);
  const tokenizer = await loadTokenizer(folder, id);
  const rows = await readRows(spec);
  const labels = spec.resolved?.labels ?? sortLabels(rows.training.map(({ label }) => label));
  requireLabels(rows.training, labels, 'training');
  requireLabels(rows.validation, labels, 'validation');

  const longest = outline.architecture.maxLength;
  const encode = (part: readonly Example[]) => encodeRows(part, labels, tokenizer, longest, hooks.signal);
  const training = await encode(rows.training);
  const validation = await encode(rows.validation);
  const resolved = spec.resolved ?? resolve(spec, labels, training, outline);
  hooks.onResolved(resolved);
  const { method, hyperparameters } = resolved;
  const base = await openBaseModel(source, method.base_precision);
  const cut = (part: EncodedRow[]) => truncate(part, tokenizer, hyperparameters.max_length);
  reportTruncated([...training, ...validation], hyperparameters.max_length, hooks);

  const classWeights = classWeightsOf(hyperparameters, labels);
  const outcome = await train({
    task: { base, config: method, labels: labels.length, ...(classWeights && { classWeights }) },
    hyperparameters,
    labels,
    training: cut(training),
    validation: cut(validation),
    seed: spec.seed,
    device: spec.device,
    threads: spec.threads,
    signal: hooks.signal,
    onProgress: hooks.onProgress,
    onEpoch: (epoch) => hooks.onEvent(epochEvent(epoch, hyperparameters.epochs)),
  });
  const manifest = await writeAdapter(spec, base, resolved, outcome);
  const { metrics } = outcome.best;
  return {
    type: 'done',
    resolved,
    manifest,
    metrics: metrics && { validation: metrics },
    trained_tokens: outcome.trainedTokens,
  };
}

interface Rows {
  readonly training: readonly Example[];
  readonly validation: readonly Example[];
}

async function readRows(spec: TrainingSpec): Promise<Rows> {
  const training = await readAll(spec.training_file);
  if (spec.validation_file !== null) return { training, validation: await readAll(spec.validation_file) };
  const count = validationRows(spec.validation_split, training.length);
  return stratifiedSplit(training, count, new Random(spec.seed, 'split'));
}

async function readAll(path: string): Promise<Example[]> {
  const rows: Example[] = [];
  for await (const row of readExamples(path)) rows.push(row);
  return rows;
}

function requireLabels(rows: readonly Example[], labels: readonly string[], file: string): void {
  if (labels.length < 2) {
    throw new AppError(
      'invalid_dataset',
      `the training file holds ${labels.length} label, at least 2 are needed`,
    );
  }
  const known = new Set(labels);
  const unknown = rows.find(({ label }) => !known.has(label));
  if (!unknown) return;
  throw new AppError(
    'invalid_dataset',
    `the ${file} file holds the label ${JSON.stringify(unknown.label)}, which no training row has`,
    { param: `${file}_file` },
  );
}

interface EncodedRow extends TrainingExample {
  readonly text: string;
  readonly ids: Int32Array;
  /** Whether the text is longer than the base model takes. */
  readonly truncated: boolean;
}

async function encodeRows(
  rows: readonly Example[],
  labels: readonly string[],
  tokenizer: Tokenizer,
  maxLength: number,
  signal: AbortSignal,
): Promise<EncodedRow[]> {
  const indices = new Map(labels.map((label, index) => [label, index]));
  const encoded: EncodedRow[] = [];
  for (const [i, { text, label }] of rows.entries()) {
    if (i % TEXTS_BETWEEN_PAUSES === 0) await pause();
    signal.throwIfAborted();
    encoded.push({ text, label: indices.get(label)!, ...tokenizer.encode(text, maxLength) });
  }
  return encoded;
}

function truncate(rows: readonly EncodedRow[], tokenizer: Tokenizer, maxLength: number): TrainingExample[] {
  return rows.map(({ text, ids, label }) => {
    return { ids: ids.length <= maxLength ? ids : tokenizer.encode(text, maxLength).ids, label };
  });
}

function resolve(
  spec: TrainingSpec,
  labels: readonly string[],
  training: readonly EncodedRow[],
  base: BaseModelOutline,
): ResolvedTraining {
  const facts: TrainingFacts = {
    lengths: training.map(({ ids }) => ids.length),
    maxLength: base.architecture.maxLength,
    poolings: base.poolings,
    fastestPrecision: spec.auto_precision,
    defaultTargets: base.architecture.family.defaultTargets,
  };
  const method = resolveMethod(spec.method, facts);
  methodOf(method).layers(method, base.architecture);
  return {
    method,
    hyperparameters: resolveHyperparameters(spec.hyperparameters, facts),
    labels: [...labels],
  };
}

/** Weights in the order of the labels; a label that is not mentioned weighs 1. */
function classWeightsOf(
  { class_weights }: Hyperparameters,
  labels: readonly string[],
): readonly number[] | undefined {
  if (class_weights === 'none') return undefined;
  const unknown = Object.keys(class_weights).find((label) => !labels.includes(label));
  if (unknown !== undefined) {
    throw new AppError(
      'invalid_request',
      `class_weights: ${JSON.stringify(unknown)} is no label of the training file`,
      { param: 'hyperparameters.class_weights' },
    );
  }
  return labels.map((label) => (Object.hasOwn(class_weights, label) ? class_weights[label]! : 1));
}

function reportTruncated(rows: readonly EncodedRow[], maxLength: number, hooks: JobHooks): void {
  const count = rows.filter(({ ids, truncated }) => truncated || ids.length > maxLength).length;
  if (count === 0) return;
  hooks.onEvent({
    level: 'warn',
    message: `${count} of ${rows.length} texts are longer than ${maxLength} tokens; what is beyond is not read`,
    type: 'message',
    data: { truncated: count, texts: rows.length, max_length: maxLength },
  });
}

function epochEvent({ epoch, loss, metrics }: EpochResult, epochs: number): TrainingEvent {
  const validation = metrics && `, validation loss ${metrics.loss.toFixed(4)}, F1 ${metrics.f1.toFixed(4)}`;
  return {
    level: 'info',
    message: `epoch ${epoch} of ${epochs}: training loss ${loss.toFixed(4)}${validation ?? ''}`,
    type: 'metrics',
    data: {
      epoch,
      train_loss: loss,
      ...(metrics && { valid_loss: metrics.loss, valid_accuracy: metrics.accuracy, valid_f1: metrics.f1 }),
    },
  };
}

function writeAdapter(
  spec: TrainingSpec,
  base: BaseModel,
  { method: config, hyperparameters, labels }: ResolvedTraining,
  { tensors, best }: TrainingOutcome,
) {
  const { baseModel, revision } = peftBaseModel(spec.base_model.id);
  const method = methodOf(config);
  return writeAdapterFiles(spec.output_folder, {
    config: method.configFile(config, base.architecture, baseModel, revision),
    tensors,
    weft: {
      format: 1,
      labels,
      pooling: method.pooling(config),
      max_length: hyperparameters.max_length,
      base_model: spec.base_model.id,
      base_model_sha256: spec.base_model.sha256,
      base_precision: config.base_precision,
      metrics: best.metrics,
    },
  });
}
