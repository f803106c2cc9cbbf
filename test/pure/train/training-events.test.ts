import { describe, expect, it } from 'vitest';
import { outcomeEvents } from '../../../gpu-node/train/training-events.ts';
import { computeMetrics } from '../../../shared/metrics.ts';

const LABELS = ['for', 'against', 'none'];

/** Events of a training whose validation rows have these labels and are classified so. */
function eventsOf(actual: readonly number[], predicted: readonly number[], share = 1, labels = LABELS) {
  const logits = predicted.map((label) => labels.map((_, i) => Number(i === label)));
  const metrics = computeMetrics(labels, actual, logits);
  const kept = [{ epoch: 3, loss: 0.1 }];
  const outcome = { tensors: new Map(), kept, share, uncalibrated: metrics, temperature: 1, metrics };
  return outcomeEvents({ ...outcome, trainedTokens: 1 }, labels);
}

describe('what is said of a result', () => {
  it('names each label that no validation row is classified as, although some are', () => {
    const [, warning, ...more] = eventsOf([0, 1, 2, 2], [0, 0, 0, 2]);
    expect(warning).toMatchObject({
      level: 'warn',
      message: expect.stringMatching(/^no validation row is classified as "against", although some are/),
      data: { warning: 'never_predicted', labels: 1 },
    });
    expect(more).toEqual([]);
  });

  it('names no label that no validation row has', () => {
    expect(eventsOf([0, 1], [0, 1])).toHaveLength(1);
  });

  it('names ten labels at most, and counts the others', () => {
    const labels = Array.from({ length: 14 }, (_, i) => `label ${i}`);
    const warning = eventsOf(
      [...labels.keys()],
      labels.map(() => 0),
      1,
      labels,
    ).at(-1)!;
    expect(warning.message).toContain('"label 10" and 3 more labels');
    expect(warning.data).toEqual({ warning: 'never_predicted', labels: 13 });
  });

  it.each([
    [0.5, /favour 0.5 of the change/],
    [0, /a linear classifier on the base model as it is answers the validation rows better/],
  ])('says that only %s of the change is kept', (share, message) => {
    expect(eventsOf([0, 1, 2], [0, 1, 2], share)[0]).toMatchObject({
      message: expect.stringMatching(message),
      data: { share },
    });
  });

  it('says nothing where nothing validated it', () => {
    const outcome = {
      tensors: new Map(),
      kept: [],
      share: 1,
      uncalibrated: null,
      temperature: 1,
      metrics: null,
    };
    expect(outcomeEvents({ ...outcome, trainedTokens: 1 }, LABELS)).toEqual([]);
  });
});
