import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Progress } from '../../shared/api/jobs.ts';
import type { ResolvedTraining } from '../../shared/api/nodes.ts';
import { AppError } from '../../shared/errors.ts';
import { formatOf } from '../../shared/methods/index.ts';
import { virtualTokensOf } from '../../shared/methods/text-room.ts';
import { packMetrics } from '../../shared/packed-metrics.ts';
import type { Hyperparameters, PeftConfig } from '../../shared/peft-config.ts';
import { metricOf } from '../../shared/training-aims.ts';
import { StoredExamples } from '../data/examples.ts';
import { TokenFile } from '../data/token-file.ts';
import { loadTokenizer } from '../data/tokenizer.ts';
import { writingInto } from '../disk-full.ts';
import { elementCount } from '../graph/shapes.ts';
import { methodOf, placeholdersOf } from '../methods/index.ts';
import type { Architecture } from '../models/model.ts';
import { type BaseModelOutline, openBaseModel, outlineBaseModel } from '../models/open-base-model.ts';
import { headTrainables } from '../parts/head.ts';
import { describeMachine } from '../runtime/machine.ts';
import { writeAdapterFiles } from '../weights/adapter-file.ts';
import { peftBaseModel } from '../weights/base-models.ts';
import { requireStorable } from './adapter-size.ts';
import { resolveHyperparameters, resolveMethod, type TrainingFacts } from './auto.ts';
import { CheckpointFile } from './checkpoint-file.ts';
import type { Fold } from './descent.ts';
import type { TrainingTask } from './graph.ts';
import { type TrainingOutcome, train } from './loop.ts';
import { costEvent, modelCost, requireMemory } from './model-cost.ts';
import type { FromTrainer, TrainingEvent, TrainingSpec } from './protocol.ts';
import { lanesFor } from './runner.ts';
import { savedShapes, savedTensors } from './saved-tensors.ts';
import {
  countLabels,
  countTruncated,
  type DataPart,
  lengthsOf,
  readTrainingData,
  repeatsIn,
} from './training-data.ts';
import { backOffEvent, epochEvent, foldsEvent, isTold, outcomeEvents, stepEvent } from './training-events.ts';
import { datasetWarnings } from './warnings.ts';

/** In the output folder while the job runs. */
const TOKEN_FILE = 'tokens';
const THE_TOKENS = "the dataset's tokens";

export type TrainingDone = Extract<FromTrainer, { type: 'done' }>;

export interface JobHooks {
  readonly signal: AbortSignal;
  onResolved(resolved: ResolvedTraining): void;
  onProgress(progress: Progress): void;
  onEvent(event: TrainingEvent): void;
  /** The state of the training is in the file that the spec names. */
  onCheckpoint(): void | Promise<void>;
}

/**
 * A job from dataset files to the adapter's files: tokenizes to disk, sets rows aside, decides what is `"auto"`, trains, writes.
 * @throws AppError about the dataset, the settings, the base model or a full disk; the signal's reason where it is aborted
 */
export async function runJob(spec: TrainingSpec, hooks: JobHooks): Promise<TrainingDone> {
  const path = join(spec.output_folder, TOKEN_FILE);
  const tokens = await writingInto(spec.output_folder, THE_TOKENS, () => new TokenFile(path));
  try {
    return await run(spec, tokens, hooks);
  } finally {
    tokens.close();
    await rm(path);
  }
}

async function run(spec: TrainingSpec, tokens: TokenFile, hooks: JobHooks): Promise<TrainingDone> {
  const { id, folder, sha256, weights_folder } = spec.base_model;
  const source = { id, folder, sha256, weightsFolder: weights_folder };
  const { resolved, folds } = await prepare(spec, await outlineBaseModel(source), tokens, hooks);
  const { method, hyperparameters, labels } = resolved;
  const base = await writingInto(weights_folder, "the base model's weights", () =>
    openBaseModel(source, method.base_precision),
  );
  // Of a training that resumes where an epoch ends, the number is not known.
  let step: number | undefined;
  const classWeights = classWeightsOf(hyperparameters, labels);
  const task = { base, config: method, labels: labels.length, ...(classWeights && { classWeights }) };
  const outcome = await train({
    task,
    hyperparameters,
    labels,
    folds,
    metric: metricOf(spec.aims),
    seed: spec.seed,
    device: spec.device,
    threads: spec.threads,
    signal: hooks.signal,
    ...(spec.checkpoint && { checkpoints: checkpointsOf(spec, resolved, folds, hooks) }),
    onProgress: (progress) => {
      step = progress.step;
      hooks.onProgress(progress);
      if (isTold(progress)) hooks.onEvent(stepEvent(progress));
    },
    onEpoch: (epoch, fold) =>
      hooks.onEvent(epochEvent(epoch, hyperparameters.epochs, { fold, folds: folds.length, step })),
    onBackOff: (backOff) => hooks.onEvent(backOffEvent(backOff, hyperparameters)),
  });
  const { metrics } = outcome;
  for (const event of outcomeEvents(outcome, labels)) hooks.onEvent(event);
  const manifest = await writingInto(spec.output_folder, "the adapter's files", () =>
    writeAdapter(spec, task, resolved, outcome),
  );
  return {
    type: 'done',
    resolved,
    manifest,
    metrics: metrics && { validation: metrics },
    trained_tokens: outcome.trainedTokens,
  };
}

function checkpointsOf(
  spec: TrainingSpec,
  resolved: ResolvedTraining,
  folds: readonly Fold[],
  { onEvent, onCheckpoint }: JobHooks,
): CheckpointFile {
  const rows = folds.map(({ training, validation }) =>
    [training, validation].map(({ labels }) => Array.from(labels)),
  );
  const { seed, aims } = spec;
  const task = { base_model: spec.base_model.sha256, seed, aims, resolved, rows };
  return new CheckpointFile({
    ...spec.checkpoint!,
    task: createHash('sha256').update(JSON.stringify(task, withSortedKeys)).digest('hex'),
    machine: describeMachine(spec),
    onEvent,
    onSaved: onCheckpoint,
  });
}

/** For `JSON.stringify`: equal values give equal text, in whatever order their keys were added. */
function withSortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What is trained on, and how. */
async function prepare(
  spec: TrainingSpec,
  base: BaseModelOutline,
  tokens: TokenFile,
  { signal, onResolved, onEvent }: JobHooks,
) {
  const tokenizer = await loadTokenizer(spec.base_model.folder, spec.base_model.id);
  const longest = base.architecture.maxLength;
  const data = await writingInto(spec.output_folder, THE_TOKENS, () =>
    readTrainingData(spec, { tokenizer, maxLength: longest, tokens, signal }),
  );
  const { labels } = data;
  const rows = data.folds[0]!;
  const resolved = spec.resolved ?? resolve(spec, labels, lengthsOf(rows.training), base);
  onResolved(resolved);
  announceCost(resolved, base, spec, onEvent);
  const { suffix } = tokenizer;
  const virtualTokens = virtualTokensOf(resolved.method);
  const placeholders = placeholdersOf(resolved.method, virtualTokens);
  const maxLength = resolved.hyperparameters.max_length - virtualTokens;
  const stored = (part: DataPart) =>
    new StoredExamples({ ...part, tokens, labels, placeholders, maxLength, suffix });
  const folds = data.folds.map(({ training, validation }) => ({
    training: stored(training),
    validation: stored(validation),
  }));
  const facts = {
    labels,
    labelCounts: countLabels(labels, rows),
    ...countTruncated(rows, maxLength, longest),
    maxLength,
    virtualTokens,
    longest,
    validationLabels: folds.flatMap(({ validation }) => Array.from(validation.labels)),
    repeats: repeatsIn(data),
  };
  for (const warning of datasetWarnings(facts)) onEvent(warning);
  if (folds.length > 1) onEvent(foldsEvent(folds.length));
  return { resolved, folds };
}

function resolve(
  spec: TrainingSpec,
  labels: readonly string[],
  lengths: readonly number[],
  base: BaseModelOutline,
): ResolvedTraining {
  const facts: TrainingFacts = {
    lengths,
    architecture: base.architecture,
    poolings: base.poolings,
    fastestPrecision: spec.auto_precision,
  };
  const method = resolveMethod(spec.method, facts);
  const { architecture } = base;
  methodOf(method).modules(method, architecture);
  const head = headTrainables(architecture.head, labels.length).map(({ shape }) => shape);
  const own = savedShapes(method, architecture);
  requireStorable(formatOf(method.type).layout, { own: [...own], head }, methodOf(method).toShrink);
  return {
    method,
    hyperparameters: resolveHyperparameters(spec.hyperparameters, method, facts),
    labels: [...labels],
    trained_parameters: numbersIn(trainedShapes(method, architecture, labels.length)),
  };
}

function numbersIn(shapes: readonly (readonly number[])[]): number {
  return shapes.reduce((sum, shape) => sum + elementCount(shape), 0);
}

function trainedShapes(method: PeftConfig, architecture: Architecture, labels: number) {
  const head = headTrainables(architecture.head, labels);
  return [...methodOf(method).trainables(method, architecture), ...head].map(({ shape }) => shape);
}

/** Where there is not the memory a job is refused before anything is spent on it; what a whole model costs is said. */
function announceCost(
  { method, labels }: ResolvedTraining,
  { architecture }: BaseModelOutline,
  spec: TrainingSpec,
  onEvent: JobHooks['onEvent'],
): void {
  const lanes = lanesFor({ architecture, precision: method.base_precision }, spec);
  const cost = modelCost(trainedShapes(method, architecture, labels.length), lanes);
  requireMemory(cost);
  if (methodOf(method).wholeModel) onEvent(costEvent(cost));
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

async function writeAdapter(
  spec: TrainingSpec,
  task: TrainingTask,
  { hyperparameters, labels }: ResolvedTraining,
  { tensors, temperature, metrics }: TrainingOutcome,
) {
  const { config, base } = task;
  return writeAdapterFiles(spec.output_folder, {
    method: config,
    encoder: base.architecture,
    modules: methodOf(config).modules(config, base.architecture),
    ...peftBaseModel(spec.base_model.id),
    tensors: await savedTensors(task, tensors),
    weft: {
      format: 1,
      labels,
      pooling: config.pooling,
      max_length: hyperparameters.max_length,
      base_model: spec.base_model.id,
      base_model_sha256: spec.base_model.sha256,
      base_precision: config.base_precision,
      temperature,
      metrics: metrics && packMetrics(metrics),
    },
  });
}
