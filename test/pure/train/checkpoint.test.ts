import { describe, expect, it } from 'vitest';
import { Random } from '../../../gpu-node/random.ts';
import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  type TrainingPosition,
  type TrainingShape,
} from '../../../gpu-node/train/checkpoint.ts';
import { type Tensor, writeSafetensors } from '../../../shared/safetensors.ts';

const TASK = 'a'.repeat(64);
const SHAPE: TrainingShape = {
  parameters: [
    { name: 'lora_A', shape: [2, 3] },
    { name: 'head', shape: [4] },
  ],
  labels: 2,
  epochs: 3,
  folds: [{ validationRows: 5, stepsPerEpoch: 8 }],
};
const POSITION: TrainingPosition = {
  epoch: 2,
  batch: 5,
  loss: 0.1 + 0.2,
  backed_off: false,
  kept: { epoch: 1, loss: 1 / 3 },
  order: [1, 2, 3, 0xffffffff],
  finished: [],
  descent: { steps: 13, watched: 0.7, best_f1: 0.9 },
  meter: { steps_run: 13, tokens: 1000, seconds: 1.5 },
};

const FIRST = { ...POSITION.descent, best_f1: null };

function tensorOf(shape: readonly number[], random: Random): Tensor {
  const size = shape.reduce((product, dim) => product * dim, 1);
  return { shape, data: Float32Array.from({ length: size }, () => random.uniform()) };
}

function checkpointOf(position: TrainingPosition = POSITION): Checkpoint {
  const random = new Random(1, 'checkpoint');
  const kinds = ['parameter', 'mean', 'square', 'average', 'start', ...(position.kept ? ['kept'] : [])];
  const tensors = new Map<string, Tensor>(
    kinds.flatMap((kind) =>
      SHAPE.parameters.map(({ name, shape }) => [`${kind}/${name}`, tensorOf(shape, random)] as const),
    ),
  );
  if (position.kept) tensors.set('logits', tensorOf([5, 2], random));
  return { task: TASK, machine: 'x64, 2 threads', position, tensors };
}

describe('a checkpoint', () => {
  it.each([
    ['in the middle', POSITION],
    ['in the first epoch', { ...POSITION, epoch: 1, kept: null, descent: FIRST }],
    ['at the end of the last epoch', { ...POSITION, epoch: 3, batch: 8, backed_off: true }],
  ])('%s comes back as it was, to the bit', (_where, position) => {
    const checkpoint = checkpointOf(position);
    const file = encodeCheckpoint(checkpoint);
    const { tensors, ...rest } = decodeCheckpoint(file, TASK, SHAPE);
    const { tensors: sent, ...sentRest } = checkpoint;
    expect(rest).toEqual(sentRest);
    expect([...tensors].sort()).toEqual([...sent].sort());
  });

  it('of a training without validation has logits of no rows', () => {
    const shape = { ...SHAPE, folds: [{ validationRows: 0, stepsPerEpoch: 8 }] };
    const checkpoint = checkpointOf();
    const tensors = new Map(checkpoint.tensors).set('logits', { shape: [0, 2], data: new Float32Array() });
    const read = decodeCheckpoint(encodeCheckpoint({ ...checkpoint, tensors }), TASK, shape);
    expect(read.tensors.get('logits')!.data).toHaveLength(0);
  });
});

/** A checkpoint of which a position is altered. */
const withPosition = (changes: object) =>
  encodeCheckpoint({ ...checkpointOf(), position: { ...POSITION, ...changes } });
const withDescent = (changes: object) => withPosition({ descent: { ...POSITION.descent, ...changes } });
/** A checkpoint of which a tensor is altered, or left out. */
function withTensor(name: string, tensor: Tensor | undefined): Uint8Array {
  const checkpoint = checkpointOf();
  const tensors = new Map(checkpoint.tensors);
  if (tensor) tensors.set(name, tensor);
  else tensors.delete(name);
  return encodeCheckpoint({ ...checkpoint, tensors });
}
const withMetadata = (metadata: Record<string, string>) => writeSafetensors(checkpointOf().tensors, metadata);
const headTensor = (...data: number[]) => ({ shape: [data.length], data: Float32Array.from(data) });

describe('a crafted checkpoint', () => {
  it.each<[string, Uint8Array, RegExp]>([
    ['no safetensors file', new Uint8Array(3), /header length/],
    ['cut short', encodeCheckpoint(checkpointOf()).subarray(0, 700), /cut short/],
    ['of nothing', new Uint8Array(0), /header length/],
    ['without metadata', withMetadata({}), /has no metadata/],
    ['of metadata that is not JSON', withMetadata({ checkpoint: '{' }), /not JSON/],
    ['of other metadata', withMetadata({ checkpoint: '{}' }), /has a wrong format/],
    ['of another format', withMetadata({ checkpoint: '{"format":2}' }), /has a wrong format/],
    ['of another task', encodeCheckpoint({ ...checkpointOf(), task: 'b'.repeat(64) }), /of another training/],
    [
      'that names its machine in a story',
      encodeCheckpoint({ ...checkpointOf(), machine: '<b>' }),
      /wrong machine/,
    ],
    ['beyond the last epoch', withPosition({ epoch: 5 }), /is in epoch 5, training has 3/],
    [
      'that has ended all descents',
      withPosition({ finished: [{ epoch: 3, loss: 1 }] }),
      /has ended 1 descents, training has 1/,
    ],
    ['beyond the end of an epoch', withPosition({ batch: 9 }), /at step 9 of an epoch, which has 8/],
    ['before the first epoch', withPosition({ epoch: 0 }), /wrong position.epoch/],
    ['in half a step', withPosition({ batch: 0.5 }), /wrong position.batch/],
    ['that keeps an epoch to come', withPosition({ kept: { epoch: 2, loss: 1 } }), /and keeps epoch 2/],
    ['that keeps no epoch', withPosition({ kept: null }), /and keeps none/],
    ['whose F1 is above 1', withDescent({ best_f1: 1.5 }), /descent.best_f1/],
    ['whose order has no state', withPosition({ order: [0, 0, 0, 0] }), /order: is all zeros/],
    ['whose order has too many numbers', withPosition({ order: [1, 2, 3, 4, 5] }), /wrong position.order/],
    ['whose order has no integers', withPosition({ order: [1, 2, 3, 4.5] }), /position.order.3/],
    [
      'that ran a negative time',
      withPosition({ meter: { steps_run: 1, tokens: 1, seconds: -1 } }),
      /meter.seconds/,
    ],
    ['with more to say', withPosition({ extra: 1 }), /wrong position/],
    ['that lacks a tensor', withTensor('mean/head', undefined), /lacks tensor mean\/head/],
    [
      'of another shape',
      withTensor('mean/head', headTensor(1, 2)),
      /mean\/head as F32 \[2\], training has F32 \[4\]/,
    ],
    ['with a tensor too many', withTensor('more', headTensor(1)), /does not: "more"/],
    [
      'with a number that is none',
      withTensor('start/head', headTensor(1, Number.NaN, 1, 1)),
      /NaN at element 1/,
    ],
    [
      'with an infinite one',
      withTensor('mean/head', headTensor(1, 1, 1, Number.NEGATIVE_INFINITY)),
      /-Infinity/,
    ],
    [
      'with a negative square',
      withTensor('square/head', headTensor(-1, 1, 1, 1)),
      /-1 at element 0 of tensor square/,
    ],
  ])('%s is refused in words', (_what, file, message) => {
    const read = () => decodeCheckpoint(file, TASK, SHAPE);
    expect(read).toThrow(expect.objectContaining({ code: 'invalid_request' }));
    expect(read).toThrow(message);
  });

  it('of half precision is refused', () => {
    const file = encodeCheckpoint(checkpointOf());
    const text = new TextDecoder('latin1').decode(file);
    const at = text.indexOf('"F32"');
    // As many bytes of the file, read as twice as many numbers.
    const header = text.slice(at).replace('"F32","shape":[4]', '"F16","shape":[8]');
    file.set(
      Uint8Array.from(header, (char) => char.charCodeAt(0)),
      at,
    );
    expect(() => decodeCheckpoint(file, TASK, SHAPE)).toThrow(/average\/head as F16 \[8\]/);
  });
});
