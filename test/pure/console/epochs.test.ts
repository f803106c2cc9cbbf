import { expect, it } from 'vitest';
import type { JobEvent } from '../../../console/api/types.ts';
import { epochsOf } from '../../../console/figures/epochs.ts';

const event = (data: JobEvent['data']) => ({ data }) as JobEvent;
const epochEvent = (epoch: number, train_loss: number, more = {}) => event({ epoch, train_loss, ...more });

it('are in order, each as it went last, with the kept one marked', () => {
  const epochs = epochsOf([
    event(null),
    epochEvent(1, 0.9, { valid_loss: 0.8, valid_f1: 0.5, valid_accuracy: 0.6 }),
    epochEvent(2, 0.7),
    epochEvent(1, 0.85),
    event({ kept_epoch: 2 }),
  ]);
  expect(epochs.map(({ epoch, trainLoss, isKept }) => [epoch, trainLoss, isKept])).toEqual([
    [1, 0.85, false],
    [2, 0.7, true],
  ]);
});

it('are the mean of several descents', () => {
  const epochs = epochsOf([
    epochEvent(1, 0.5, { fold: 1, folds: 2, valid_f1: 0.5 }),
    epochEvent(2, 0.25, { fold: 1, folds: 2, valid_f1: 0.75 }),
    epochEvent(1, 0.75, { fold: 2, folds: 2, valid_f1: 0.25 }),
  ]);
  expect(epochs).toMatchObject([
    { epoch: 1, trainLoss: 0.625, f1: 0.375, validLoss: null },
    { epoch: 2, trainLoss: 0.25, f1: 0.75 },
  ]);
});
