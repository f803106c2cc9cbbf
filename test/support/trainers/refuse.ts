import type { FromTrainer } from '../../../gpu-node/train/protocol.ts';

/** A training process that finds its data at fault. */
process.on('message', () => {
  const error = { code: 'invalid_dataset', message: 'the rows have one label' };
  process.send!(
    { type: 'failed', error, retryable: false } satisfies FromTrainer,
    undefined,
    undefined,
    () => {
      process.disconnect();
    },
  );
});
