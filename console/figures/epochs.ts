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

/** The epochs of a job's events. An epoch that was trained again, as after a lost node, counts as it went last. */
export function epochsOf(events: readonly JobEvent[]): Epoch[] {
  const byNumber = new Map<number, Epoch>();
  let kept: number | undefined;
  for (const { data } of events) {
    if (!data) continue;
    const value = (name: string) => (typeof data[name] === 'number' ? data[name] : null);
    kept = value('kept_epoch') ?? kept;
    const [epoch, trainLoss] = [value('epoch'), value('train_loss')];
    if (epoch === null || trainLoss === null) continue;
    byNumber.set(epoch, {
      epoch,
      trainLoss,
      validLoss: value('valid_loss'),
      f1: value('valid_f1'),
      accuracy: value('valid_accuracy'),
      isKept: false,
    });
  }
  const epochs = [...byNumber.values()].sort((a, b) => a.epoch - b.epoch);
  return epochs.map((epoch) => ({ ...epoch, isKept: epoch.epoch === kept }));
}
