import { z } from 'zod';
import { jobStatus } from '../job-state.ts';
import { calibrationBin, validationMetrics } from '../metrics.ts';
import { packedMetrics } from '../packed-metrics.ts';
import { adapterRef, fileId, pageQuery, unixSeconds } from './common.ts';
import { jobError } from './jobs.ts';
import { MAX_TASK_MODELS } from './tasks.ts';

/** Most rows of an evaluation: their outcomes are in a node's memory at the end. */
export const MAX_EVALUATION_ROWS = 1_000_000;
/** Most evaluations of a tenant that wait or run at once, and that are kept. */
export const MAX_UNFINISHED_EVALUATIONS = 20;
export const MAX_EVALUATIONS = 1000;
/** Rows that an evaluation shows: its most certain mistakes, and those that two models answer differently. */
export const MAX_MISTAKES = 20;
export const MAX_FLIPPED = 100;
/** Characters of a text that are shown of a row. */
export const SHOWN_CHARS = 500;

/** `POST /v1/evaluations`: one model, or several to be compared. */
export const createEvaluation = z
  .strictObject({
    model: adapterRef.optional(),
    models: z.array(adapterRef).min(1).max(MAX_TASK_MODELS).optional(),
    file: fileId,
  })
  .refine((body) => (body.model === undefined) !== (body.models === undefined), {
    message: 'give exactly one of model and models',
    path: ['model'],
  });
export type CreateEvaluation = z.infer<typeof createEvaluation>;

const outcome = z.object({
  model: adapterRef,
  predicted: z.string(),
  score: z.number(),
});

/** A row of the file, by its number from 1; a long text is cut. */
const shownRow = z.object({ row: z.int().positive(), text: z.string(), label: z.string() });

/** What a model made of the file. `metrics` counts labels that the model does not have as labels of their own, which it never predicts. */
const modelResult = z.object({
  model: adapterRef,
  metrics: validationMetrics,
  /** Labels in the order of the confusion matrix: the model's, then others of the file. */
  labels: z.array(z.string()),
  /** Rows of each label of the file that the model does not have. */
  unknown_labels: z.record(z.string(), z.int()),
  /** Rows whose texts the model read only in part. */
  truncated: z.int(),
  /** Confidence and accuracy of the rows, by their confidence. */
  calibration: z.array(calibrationBin),
  /** The mistakes of the highest scores. */
  mistakes: z.array(shownRow.extend({ predicted: z.string(), score: z.number() })),
});

/** Two models on the same rows. */
const comparison = z.object({
  models: z.tuple([adapterRef, adapterRef]),
  both_right: z.int(),
  only_first_right: z.int(),
  only_second_right: z.int(),
  both_wrong: z.int(),
  /** McNemar's exact test: how likely so uneven a split of the rows that one alone has right is, if the models are as good as each other. */
  mcnemar: z.object({ discordant: z.int(), p_value: z.number() }),
  /** Rows that the models label differently, and the first of them: those where one is right and most certain. */
  flipped: z.int(),
  flipped_rows: z.array(shownRow.extend({ outcomes: z.tuple([outcome, outcome]) })),
});

export const evaluationResult = z.object({
  results: z.array(modelResult),
  comparisons: z.array(comparison),
});
export type EvaluationResult = z.infer<typeof evaluationResult>;
export type ModelResult = z.infer<typeof modelResult>;
export type Comparison = z.infer<typeof comparison>;

/** A result in stored form. */
export const storedEvaluationResult = evaluationResult.extend({
  results: z.array(modelResult.extend({ metrics: packedMetrics })),
});
export type StoredEvaluationResult = z.infer<typeof storedEvaluationResult>;

/** An evaluation. A list leaves `results` and `comparisons` out. */
export const evaluation = z.object({
  object: z.literal('evaluation'),
  id: z.string(),
  status: jobStatus,
  /** The versions that are evaluated, as they were resolved. */
  models: z.array(adapterRef),
  file: fileId,
  rows: z.object({ total: z.int(), done: z.int() }),
  created_at: unixSeconds,
  started_at: unixSeconds.nullable(),
  finished_at: unixSeconds.nullable(),
  error: jobError.nullable(),
  results: z.array(modelResult).nullable().optional(),
  comparisons: z.array(comparison).nullable().optional(),
});
export type Evaluation = z.infer<typeof evaluation>;

export const evaluationDeleted = z.object({
  id: z.string(),
  object: z.literal('evaluation'),
  deleted: z.literal(true),
});

export const listEvaluationsQuery = pageQuery;
