import { z } from 'zod';
import { sha256Hex } from '../../shared/adapter-format.ts';
import { MAX_CHECKPOINT_BYTES } from '../../shared/api/nodes.ts';
import { AppError } from '../../shared/errors.ts';
import {
  ADAPTER_HEADER_BYTES,
  parseHeader,
  readTensors,
  type SafetensorsHeader,
  type Tensor,
  writeSafetensors,
} from '../../shared/safetensors.ts';
import { BLENDS } from './blend.ts';
import { MAX_FOLDS } from './folds.ts';

/*
 * A checkpoint is a safetensors file: the tensors of a training's state, and the rest of it as JSON in the metadata's `checkpoint`. Its
 * bytes come from a store that another machine wrote to, so they are checked before anything is believed.
 */

const count = z.int().nonnegative();
/** State of a seeded generator; all zeros are refused, because it would then give only zeros. */
const randomState = z
  .array(z.int().min(0).max(0xffffffff))
  .length(4)
  .refine((words) => words.some((word) => word !== 0), 'is all zeros');

const epochLoss = z.strictObject({ epoch: z.int().positive(), loss: z.number() });
/** An epoch, and the mean loss of its training batches. */
export type EpochLoss = z.infer<typeof epochLoss>;

/** The parts of a descent's state that are no tensors. */
const descentPosition = z.strictObject({
  /** The current epoch, from 1, the number of its finished batches, and their sum in its mean loss. */
  epoch: z.int().positive(),
  batch: count,
  loss: z.number(),
  /** True if training has gone back once from a divergence. */
  backed_off: z.boolean(),
  /** The kept epoch and its mean loss; null before the first has ended. */
  kept: epochLoss.nullable(),
  /** State of the order's generator when the epoch began. Dropout is drawn by `steps_run`. */
  order: randomState,
  /** State of the current descent: its steps, its loss watch's sum, and the best F1 so far. */
  descent: z.strictObject({
    steps: count,
    watched: z.number(),
    best_f1: z.number().min(0).max(1).nullable(),
  }),
  meter: z.strictObject({ steps_run: count, tokens: count, seconds: z.number().nonnegative() }),
});
type DescentPosition = z.infer<typeof descentPosition>;

/** The same of a training: `finished` has the kept epoch of each descent that has ended. */
export const trainingPosition = descentPosition.extend({ finished: z.array(epochLoss).max(MAX_FOLDS) });
export type TrainingPosition = z.infer<typeof trainingPosition>;

const checkpointHeader = z.strictObject({
  format: z.literal(1),
  /** SHA-256 of the task and its data, so that no other training resumes from it. */
  task: sha256Hex,
  /** Description of everything else that the bits of a result depend on. */
  machine: z.string().regex(/^[\w .,:()@+-]{1,200}$/),
  position: trainingPosition,
});

/** A descent's state between two steps. */
export interface SavedDescent {
  readonly position: DescentPosition;
  /** Tensors by kind and name, e.g. `mean/classifier.weight`; `logits` are those of the kept epoch's validation. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** A training's state: that of its descent, and the sums over those that have ended. */
export interface SavedState extends SavedDescent {
  readonly position: TrainingPosition;
}

export interface Checkpoint extends SavedState {
  readonly task: string;
  readonly machine: string;
}

interface FoldShape {
  readonly validationRows: number;
  readonly stepsPerEpoch: number;
}

interface CommonShape {
  readonly parameters: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly labels: number;
  readonly epochs: number;
}

/** The sizes that a descent's state must fit. */
export interface DescentShape extends CommonShape, FoldShape {}

/** The sizes that a training's state must fit. */
export interface TrainingShape extends CommonShape {
  readonly folds: readonly FoldShape[];
}

/** Keeps training's state for an attempt that resumes it. */
export interface Checkpoints {
  /** The state to resume from; undefined starts from the beginning. */
  load(shape: TrainingShape): Promise<SavedState | undefined>;
  /** Called after every step; it calls `save` if a save is due. The tensors change with the next step. */
  saveIfDue(save: () => SavedState): Promise<void>;
  save(state: SavedState): Promise<void>;
}

/** Tensors of each parameter: its value, the optimizer's two means, its average, and its value at the start and in the kept epoch. */
const TENSOR_KINDS = ['parameter', 'mean', 'square', 'average', 'start', 'kept'] as const;
export type TensorKind = (typeof TENSOR_KINDS)[number];
/** Sums of the finished descents, of each parameter: where they began, and where they ended. */
const SUM_KINDS = ['starts', 'ends'] as const;
export type SumKind = (typeof SUM_KINDS)[number];
export const LOGITS = 'logits';
/** Logits of the finished descents' validation examples at each of `BLENDS`: `[blends, examples, labels]`. */
export const BLEND_LOGITS = 'blends';
export const tensorName = (kind: TensorKind | SumKind, parameter: string) => `${kind}/${parameter}`;

const METADATA_KEY = 'checkpoint';
const WHAT = 'the checkpoint';

export function encodeCheckpoint({ task, machine, position, tensors }: Checkpoint): Uint8Array {
  const header: z.input<typeof checkpointHeader> = { format: 1, task, machine, position };
  return writeSafetensors(tensors, { [METADATA_KEY]: JSON.stringify(header) });
}

/**
 * Reads a checkpoint that may have been crafted. Every tensor must belong to the task, in its shape and finite, and every number must be
 * one that training can reach.
 * @throws AppError `invalid_request` naming what does not fit
 */
export function decodeCheckpoint(file: Uint8Array, task: string, shape: TrainingShape): Checkpoint {
  if (file.byteLength > MAX_CHECKPOINT_BYTES)
    fail(`has ${file.byteLength} bytes, at most ${MAX_CHECKPOINT_BYTES} are read`);
  const limits = { file: WHAT, maxHeaderBytes: ADAPTER_HEADER_BYTES, code: 'invalid_request' as const };
  const header = parseHeader(file, file.byteLength, limits);
  const { machine, position, ...rest } = parseMetadata(header.metadata[METADATA_KEY]);
  if (rest.task !== task) fail('is of another training: its data, its settings or its base model differ');
  checkPosition(position, shape);
  checkShapes(header, expectedTensors(position, shape));
  const tensors = readTensors(file, header);
  checkValues(tensors);
  return { task, machine, position, tensors };
}

function parseMetadata(text: string | undefined): z.infer<typeof checkpointHeader> {
  if (text === undefined) fail('has no metadata');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    fail('has metadata that is not JSON');
  }
  const parsed = checkpointHeader.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  fail(`has a wrong ${issue?.path.join('.').slice(0, 120) || 'header'}: ${issue?.message.slice(0, 200)}`);
}

/** Checks that training can have reached this position. */
function checkPosition(position: TrainingPosition, { epochs, folds }: TrainingShape): void {
  const { epoch, batch, kept, finished } = position;
  const fold = finished.length;
  if (fold >= folds.length) fail(`has ended ${fold} descents, training has ${folds.length}`);
  const { stepsPerEpoch } = folds[fold]!;
  // A descent whose last epoch has ended is one epoch further, where only its validation is left to do.
  if (epoch > epochs + 1) fail(`is in epoch ${epoch}, training has ${epochs}`);
  if (batch > stepsPerEpoch) fail(`is at step ${batch} of an epoch, which has ${stepsPerEpoch}`);
  if (kept === null ? epoch > 1 : kept.epoch >= epoch) {
    fail(`is in epoch ${epoch}, and keeps ${kept === null ? 'none' : `epoch ${kept.epoch}`}`);
  }
}

/** The shape of each tensor of a state at this position. */
function expectedTensors(
  { kept, finished }: TrainingPosition,
  { parameters, labels, folds }: TrainingShape,
): Map<string, readonly number[]> {
  const fold = finished.length;
  const kinds = [
    ...TENSOR_KINDS.filter((kind) => kind !== 'kept' || kept !== null),
    ...SUM_KINDS.filter(() => fold > 0),
  ];
  const expected = new Map<string, readonly number[]>();
  for (const kind of kinds)
    for (const { name, shape } of parameters) expected.set(tensorName(kind, name), shape);
  if (kept !== null) expected.set(LOGITS, [folds[fold]!.validationRows, labels]);
  const validated = folds.slice(0, fold).reduce((sum, { validationRows }) => sum + validationRows, 0);
  if (fold > 0) expected.set(BLEND_LOGITS, [BLENDS.length, validated, labels]);
  return expected;
}

function checkShapes({ tensors }: SafetensorsHeader, expected: ReadonlyMap<string, readonly number[]>): void {
  for (const [name, shape] of expected) {
    const found = tensors.get(name);
    if (!found) fail(`lacks tensor ${name}`);
    if (found.dtype !== 'F32' || found.shape.join() !== shape.join()) {
      fail(`has tensor ${name} as ${found.dtype} [${found.shape}], training has F32 [${shape}]`);
    }
  }
  const unknown = [...tensors.keys()].find((name) => !expected.has(name));
  if (unknown !== undefined)
    fail(`has a tensor that training does not: ${JSON.stringify(unknown.slice(0, 120))}`);
}

function checkValues(tensors: ReadonlyMap<string, Tensor>): void {
  for (const [name, { data }] of tensors) {
    const lowest = name.startsWith(tensorName('square', '')) ? 0 : Number.NEGATIVE_INFINITY;
    const at = data.findIndex((value) => !Number.isFinite(value) || value < lowest);
    if (at >= 0) fail(`holds ${data[at]} at element ${at} of tensor ${name}`);
  }
}

function fail(what: string): never {
  throw new AppError('invalid_request', `${WHAT} ${what}`);
}
