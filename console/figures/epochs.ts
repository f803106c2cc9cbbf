import type { JobEvent } from '../api/types.ts';

/** An epoch as the events tell it; without validation rows there is the training loss alone. */
export interface Epoch {
  readonly epoch: number;
  readonly trainLoss: number;
  readonly validLoss: number | null;
  readonly f1: number | null;
  readonly accuracy: number | null;
  /** Whether it became the adapter; known once training has ended. */
  readonly isKept: boolean;
}

/**
 * The epochs of a job's events. One that was trained again, as after a lost node, counts as it went last; where a training has several descents,
 * an epoch is the mean of theirs.
 */
export function epochsOf(events: readonly JobEvent[]): Epoch[] {
  const latest = new Map<string, Epoch>();
  let kept: number | undefined;
  for (const { data } of events) {
    if (!data) continue;
    const value = (name: string) => (typeof data[name] === 'number' ? data[name] : null);
    kept = value('kept_epoch') ?? kept;
    const [epoch, trainLoss] = [value('epoch'), value('train_loss')];
    if (epoch === null || trainLoss === null) continue;
    latest.set(`${value('fold') ?? 1} ${epoch}`, {
      epoch,
      trainLoss,
      validLoss: value('valid_loss'),
      f1: value('valid_f1'),
      accuracy: value('valid_accuracy'),
      isKept: false,
    });
  }
  const groups = [...Map.groupBy(latest.values(), ({ epoch }) => epoch)].sort(([a], [b]) => a - b);
  return groups.map(([epoch, alike]) => ({
    epoch,
    trainLoss: mean(alike.map(({ trainLoss }) => trainLoss))!,
    validLoss: mean(alike.map(({ validLoss }) => validLoss)),
    f1: mean(alike.map(({ f1 }) => f1)),
    accuracy: mean(alike.map(({ accuracy }) => accuracy)),
    isKept: epoch === kept,
  }));
}

/** Null where any is. */
function mean(values: readonly (number | null)[]): number | null {
  return values.reduce(
    (sum, value) => (sum === null || value === null ? null : sum + value / values.length),
    0,
  );
}
