import { expect, it } from 'vitest';
import { BLENDS } from '../../../gpu-node/train/blend.ts';
import type { TrainingShape } from '../../../gpu-node/train/checkpoint.ts';
import type { Descended } from '../../../gpu-node/train/descent.ts';
import { FoldMean } from '../../../gpu-node/train/fold-mean.ts';

const FOLD = { validationRows: 1, stepsPerEpoch: 4 };
const SHAPE: TrainingShape = {
  parameters: [{ name: 'head', shape: [2] }],
  labels: 2,
  epochs: 3,
  folds: [FOLD, FOLD],
};

const tensorsOf = (...data: number[]) => new Map([['head', { shape: [2], data: Float32Array.from(data) }]]);

/** A descent from one place to another, whose logits at each share are the share and its number. */
const descended = (start: [number, number], end: [number, number], number: number): Descended => {
  const blends = BLENDS.map((share) => Float32Array.of(share, number));
  const kept = {
    tensors: tensorsOf(...end),
    result: { epoch: 3, loss: 0.5, metrics: null },
    logits: blends.at(-1)!,
  };
  return { start: { tensors: tensorsOf(...start), logits: new Float32Array() }, kept, blends };
};

const FIRST = () => descended([0, 2], [4, 4], 1);
const SECOND = () => descended([0, 4], [8, 2], 2);

function meanOf(...all: Descended[]) {
  const mean = new FoldMean(SHAPE);
  for (const each of all) mean.add(each);
  return mean;
}

const dataAt = (mean: FoldMean, share: number) => [...mean.tensors(share).get('head')!.data];

it('of one descent is where that ended, to the bit', () => {
  const only = descended([0, 0], [0.1, 1 / 3], 1);
  const { data } = only.kept.tensors.get('head')!;
  expect(meanOf(only).tensors(1).get('head')!.data).toBe(data);
});

it('is the mean of the ends, or of points as far along each way', () => {
  expect(dataAt(meanOf(FIRST(), SECOND()), 1)).toEqual([6, 3]);
  expect(dataAt(meanOf(FIRST(), SECOND()), 0)).toEqual([0, 3]);
  expect(dataAt(meanOf(FIRST(), SECOND()), 0.5)).toEqual([3, 3]);
});

it('has the logits of all rows at each share, each by the descent that has not seen it', () => {
  const { logits, finished } = meanOf(FIRST(), SECOND());
  expect(logits.map((each) => [...each])).toEqual(BLENDS.map((share) => [share, 1, share, 2]));
  expect(finished).toEqual([
    { epoch: 3, loss: 0.5 },
    { epoch: 3, loss: 0.5 },
  ]);
});

it('goes on from what was saved of it', () => {
  const descent = { position: {} as never, tensors: new Map() };
  const saved = structuredClone(meanOf(FIRST()).save(descent));
  const resumed = new FoldMean(SHAPE);
  resumed.restore(saved);
  resumed.add(SECOND());
  expect(dataAt(resumed, 0.5)).toEqual([3, 3]);
  expect(resumed.logits).toEqual(meanOf(FIRST(), SECOND()).logits);
});
