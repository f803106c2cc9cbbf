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

/*
 * A checkpoint is a safetensors file: the tensors of a training's state, and the rest of it as JSON in the metadata's `checkpoint`.
 * Its bytes come from a store that another machine wrote to, so that nothing in it is believed before it is checked.
 */

const count = z.int().nonnegative();
/** What a seeded generator is at; from all zeros it would give nothing but zeros. */
const randomState = z
  .array(z.int().min(0).max(0xffffffff))
  .length(4)
  .refine((words) => words.some((word) => word !== 0), 'is all zeros');

const epochLoss = z.strictObject({ epoch: z.int().positive(), loss: z.number() });

/** What of a training's state is no tensor. */
export const trainingPosition = z.strictObject({
  /** The epoch under way, from 1, how many of its batches are done, and what these add to its mean loss. */
  epoch: z.int().positive(),
  batch: count,
  loss: z.number(),
  /** Whether it has gone back once from a divergence. */
  backed_off: z.boolean(),
  /** The epoch that is kept so far and its mean loss; null before the first has ended. */
  kept: epochLoss.nullable(),
  /** The order's generator as it was when the epoch began. Dropout is drawn by `steps_run`. */
  order: randomState,
  /** Of the descent under way: its steps, what its loss watch has summed, and the best F1 so far. */
  descent: z.strictObject({
    steps: count,
    watched: z.number(),
    best_f1: z.number().min(0).max(1).nullable(),
  }),
  meter: z.strictObject({ steps_run: count, tokens: count, seconds: z.number().nonnegative() }),
});
export type TrainingPosition = z.infer<typeof trainingPosition>;

const checkpointHeader = z.strictObject({
  format: z.literal(1),
  /** SHA-256 of what is trained and on what, so that no other training goes on from it. */
  task: sha256Hex,
  /** What the bits of a result depend on beside the task, in words. */
  machine: z.string().regex(/^[\w .,:()@+-]{1,200}$/),
  position: trainingPosition,
});

/** A training's state between two steps. */
export interface SavedState {
  readonly position: TrainingPosition;
  /** By kind and name, e.g. `mean/classifier.weight`; `logits` are those of the kept epoch's validation. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

export interface Checkpoint extends SavedState {
  readonly task: string;
  readonly machine: string;
}

/** What a state must fit. */
export interface TrainingShape {
  readonly parameters: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly labels: number;
  readonly validationRows: number;
  readonly epochs: number;
  readonly stepsPerEpoch: number;
}

/** Keeps training's state for whoever goes on from it. */
export interface Checkpoints {
  /** What to go on from; undefined: from the beginning. */
  load(shape: TrainingShape): Promise<SavedState | undefined>;
  /** Asked after every step; takes the state where it is time to. The tensors in it change with the next step. */
  saveIfDue(save: () => SavedState): Promise<void>;
  save(state: SavedState): Promise<void>;
}

/** Of each parameter: its value, the optimizer's two means, its average, and its value at the start and in the kept epoch. */
const TENSOR_KINDS = ['parameter', 'mean', 'square', 'average', 'start', 'kept'] as const;
export type TensorKind = (typeof TENSOR_KINDS)[number];
export const LOGITS = 'logits';
export const tensorName = (kind: TensorKind, parameter: string) => `${kind}/${parameter}`;

const METADATA_KEY = 'checkpoint';
const WHAT = 'the checkpoint';

export function encodeCheckpoint({ task, machine, position, tensors }: Checkpoint): Uint8Array {
  const header: z.input<typeof checkpointHeader> = { format: 1, task, machine, position };
  return writeSafetensors(tensors, { [METADATA_KEY]: JSON.stringify(header) });
}

/**
 * Reads a checkpoint that may have been crafted: every tensor is one that the task has, in its shape and finite, and every number
 * one that training comes to.
 * @throws AppError `invalid_request` that says what does not fit
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

/** That training can have come to where it says it is. */
function checkPosition(position: TrainingPosition, { epochs, stepsPerEpoch }: TrainingShape): void {
  const { epoch, batch, kept } = position;
  if (epoch > epochs) fail(`is in epoch ${epoch}, training has ${epochs}`);
  if (batch > stepsPerEpoch) fail(`is at step ${batch} of an epoch, which has ${stepsPerEpoch}`);
  if (kept === null ? epoch > 1 : kept.epoch >= epoch) {
    fail(`is in epoch ${epoch}, and keeps ${kept === null ? 'none' : `epoch ${kept.epoch}`}`);
  }
}

/** The shape of each tensor that a state at this position has. */
function expectedTensors(
  { kept }: TrainingPosition,
  { parameters, labels, validationRows }: TrainingShape,
): Map<string, readonly number[]> {
  const kinds = TENSOR_KINDS.filter((kind) => kind !== 'kept' || kept !== null);
  const expected = new Map<string, readonly number[]>();
  for (const kind of kinds)
    for (const { name, shape } of parameters) expected.set(tensorName(kind, name), shape);
  if (kept !== null) expected.set(LOGITS, [validationRows, labels]);
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
