import type { Progress } from '../../shared/api/jobs.ts';
import type { ValidationMetrics } from '../../shared/metrics.ts';
import type { Hyperparameters } from '../../shared/peft-config.ts';
import type { BackOff } from './descent.ts';
import type { TrainingOutcome } from './loop.ts';
import type { TrainingEvent } from './protocol.ts';
import type { EpochResult } from './state.ts';

/* What a job's events say of its training. */

export function foldsEvent(folds: number): TrainingEvent {
  return {
    level: 'info',
    message: `trains ${folds} times, each time without another part of the rows, which validates it; the mean of the ${folds} is the adapter`,
    type: 'message',
    data: { folds },
  };
}

/** Steps of a training that its events tell of. Every event is a row of the edge's database. */
const TOLD_STEPS = 50;

/** True of the first step, the last, and some 50 between them. */
export function isTold({ step, steps }: Progress): boolean {
  return step === 1 || step === steps || step % Math.ceil(steps / TOLD_STEPS) === 0;
}

/** A step in the words that clients of OpenAI's API look for. */
export function stepEvent({ step, steps, loss }: Progress): TrainingEvent {
  return {
    level: 'info',
    message: `Step ${step}/${steps}: training loss=${loss!.toFixed(4)}`,
    type: 'metrics',
    data: { step, total_steps: steps, train_loss: loss },
  };
}

export function epochEvent(
  { epoch, loss, metrics }: EpochResult,
  epochs: number,
  { fold, folds, step }: { fold: number; folds: number; step: number | undefined },
): TrainingEvent {
  const validation = metrics && `, validation loss ${metrics.loss.toFixed(4)}, F1 ${metrics.f1.toFixed(4)}`;
  const where = folds === 1 ? '' : `training ${fold} of ${folds}, `;
  return {
    level: 'info',
    message: `${where}epoch ${epoch} of ${epochs}: training loss ${loss.toFixed(4)}${validation ?? ''}`,
    type: 'metrics',
    data: {
      ...(folds > 1 && { fold, folds }),
      epoch,
      ...(step !== undefined && { step }),
      train_loss: loss,
      ...(metrics && { valid_loss: metrics.loss, valid_accuracy: metrics.accuracy, valid_f1: metrics.f1 }),
    },
  };
}

export function backOffEvent(backOff: BackOff, { learning_rate }: Hyperparameters): TrainingEvent {
  const { reason, step, steps, loss, epoch, learningRate } = backOff;
  const from = epoch === 0 ? 'starts over' : `goes back to epoch ${epoch}`;
  return {
    level: 'warn',
    message: `training diverged at step ${step} of ${steps}: ${reason}; it ${from} with learning_rate ${learningRate} instead of ${learning_rate}`,
    type: 'message',
    data: { step, loss, epoch, learning_rate: learningRate },
  };
}

/** What the validation says of the result; nothing where nothing validated it. */
export function outcomeEvents(
  { kept, temperature, share, uncalibrated, metrics }: TrainingOutcome,
  labels: readonly string[],
): TrainingEvent[] {
  if (!uncalibrated || !metrics) return [];
  const { examples, ece, loss } = metrics;
  const epochs = kept.map(({ epoch }) => epoch);
  const change = `expected calibration error ${uncalibrated.ece.toFixed(4)} to ${ece.toFixed(4)}, loss ${uncalibrated.loss.toFixed(4)} to ${loss.toFixed(4)}`;
  const calibrated: TrainingEvent = {
    level: 'info',
    message: `${keptEpochs(epochs)}; scores calibrated on ${examples} validation rows: temperature ${temperature.toFixed(3)}, ${change}`,
    type: 'message',
    data: {
      ...(epochs.length === 1 ? { kept_epoch: epochs[0] } : { kept_epochs: epochs }),
      temperature,
      ece,
      loss,
      uncalibrated_ece: uncalibrated.ece,
      uncalibrated_loss: uncalibrated.loss,
    },
  };
  return [...shareEvents(share), calibrated, ...neverPredicted(metrics, labels)];
}

function keptEpochs(epochs: readonly number[]): string {
  return epochs.length === 1 ? `epoch ${epochs[0]} is kept` : `epochs ${epochs.join(', ')} are kept`;
}

function shareEvents(share: number): TrainingEvent[] {
  if (share === 1) return [];
  const kept =
    share === 0
      ? 'a linear classifier on the base model as it is answers the validation rows better than what was trained; it is kept'
      : `the validation rows favour ${share} of the change that was trained; that much of it is kept`;
  return [{ level: 'info', message: kept, type: 'message', data: { share } }];
}

/** Most labels that a warning names. */
const MAX_NAMED_LABELS = 10;

function neverPredicted(
  { confusion_matrix: matrix, per_label }: ValidationMetrics,
  labels: readonly string[],
): TrainingEvent[] {
  const missing = labels.filter(
    (label, i) => per_label[label]!.support > 0 && matrix.every((row) => row[i] === 0),
  );
  if (missing.length === 0) return [];
  const shown = missing.slice(0, MAX_NAMED_LABELS).map((label) => JSON.stringify(label));
  const more = missing.length - shown.length;
  return [
    {
      level: 'warn',
      message: `no validation row is classified as ${shown.join(', ')}${more > 0 ? ` and ${more} more labels` : ''}, although some are: give more examples of ${missing.length === 1 ? 'it' : 'them'}, or raise class_weights`,
      type: 'message',
      data: { warning: 'never_predicted', labels: missing.length },
    },
  ];
}
