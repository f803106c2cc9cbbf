import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { SavedState, TrainingShape } from '../../../gpu-node/train/checkpoint.ts';
import { CheckpointFile, type CheckpointFileOptions } from '../../../gpu-node/train/checkpoint-file.ts';
import { MAX_CHECKPOINT_BYTES } from '../../../shared/api/nodes.ts';

const SHAPE: TrainingShape = {
  parameters: [{ name: 'head', shape: [2] }],
  labels: 2,
  epochs: 3,
  folds: [{ validationRows: 0, stepsPerEpoch: 8 }],
};

function stateAt(batch: number, data = new Float32Array(2)): SavedState {
  const kinds = ['parameter', 'mean', 'square', 'average', 'start'];
  return {
    position: {
      epoch: 1,
      batch,
      loss: 0,
      backed_off: false,
      kept: null,
      order: [1, 2, 3, 4],
      finished: [],
      descent: { steps: batch, watched: 0, best_f1: null },
      meter: { steps_run: batch, tokens: 0, seconds: 0 },
    },
    tensors: new Map(kinds.map((kind) => [`${kind}/head`, { shape: [data.length], data }])),
  };
}

let folder: string;
let file: string;
let now: number;
let said: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-checkpoint-'));
  file = join(folder, 'checkpoint');
  now = 0;
  said = [];
  // What the user is not told goes to the node's log.
  vi.spyOn(console, 'error').mockImplementation(() => {});
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

const checkpointFile = (options: Partial<CheckpointFileOptions> = {}) =>
  new CheckpointFile({
    file,
    interval: 30_000,
    resume: null,
    task: 'a'.repeat(64),
    machine: 'here',
    onEvent: ({ message }) => said.push(message),
    onSaved: () => {},
    now: () => now,
    ...options,
  });

const sha256Of = async () =>
  createHash('sha256')
    .update(await readFile(file))
    .digest('hex');
const reading = async (changes: Partial<NonNullable<CheckpointFileOptions['resume']>> = {}) =>
  checkpointFile({ resume: { file, attempt: 2, sha256: await sha256Of(), ...changes } });

it('is written where the interval is over, and whole before it has its name', async () => {
  let saved = 0;
  const checkpoints = checkpointFile({ onSaved: () => void saved++ });
  const seen: number[] = [];
  for (const at of [0, 29_999, 30_000, 59_999, 60_000]) {
    now = at;
    await checkpoints.saveIfDue(() => {
      seen.push(at);
      return stateAt(1);
    });
  }
  expect(seen).toEqual([30_000, 60_000]);
  expect(saved).toBe(2);
  expect(await readdir(folder)).toEqual(['checkpoint']);
});

it('gives back the newest state', async () => {
  const checkpoints = checkpointFile();
  await checkpoints.save(stateAt(3));
  await checkpoints.save(stateAt(5));
  const loaded = await (await reading()).load(SHAPE);
  expect(loaded!.position).toEqual(stateAt(5).position);
  expect(said).toEqual(['goes on from step 5 of epoch 1, from a checkpoint of attempt 2']);
});

it('has nothing to give in a first attempt', async () => {
  expect(await checkpointFile().load(SHAPE)).toBeUndefined();
  expect(said).toEqual([]);
});

it('that is damaged, does not fit or is not there is said, and training starts over', async () => {
  await checkpointFile().save(stateAt(3));
  const startsOver = (reason: string) =>
    `a checkpoint of attempt 2 cannot be used: ${reason}; training starts over`;
  expect(await (await reading({ sha256: 'b'.repeat(64) })).load(SHAPE)).toBeUndefined();
  expect(
    await (await reading()).load({ ...SHAPE, folds: [{ validationRows: 0, stepsPerEpoch: 2 }] }),
  ).toBeUndefined();
  expect(await (await reading({ file: join(folder, 'gone') })).load(SHAPE)).toBeUndefined();
  await writeFile(file, 'something else');
  expect(await (await reading()).load(SHAPE)).toBeUndefined();
  expect(said).toEqual([
    startsOver('the checkpoint is damaged: it has another SHA-256 than was stored'),
    startsOver('the checkpoint is at step 3 of an epoch, which has 2'),
    startsOver('the node cannot read it'),
    expect.stringMatching(
      /^a checkpoint of attempt 2 cannot be used: the checkpoint: .*; training starts over$/,
    ),
  ]);
});

it('that cannot be written is said once, and fails nothing', async () => {
  await symlink('/dev/full', `${file}.part`);
  const checkpoints = checkpointFile();
  await checkpoints.save(stateAt(1));
  await checkpoints.save(stateAt(2));
  expect(said).toEqual([expect.stringContaining("is not saved: the node's disk is full")]);
  await rm(`${file}.part`);
  await checkpoints.save(stateAt(3));
  expect((await (await reading()).load(SHAPE))!.position.batch).toBe(3);
});

it('that is too large is not written', async () => {
  const large = new Float32Array(MAX_CHECKPOINT_BYTES / 20 + 1);
  await checkpointFile().save(stateAt(1, large));
  expect(said).toEqual([expect.stringMatching(/it has \d+ bytes, at most 94371840 are kept/)]);
  expect(await readdir(folder)).toEqual([]);
});
