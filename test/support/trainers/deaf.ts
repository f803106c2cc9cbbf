import type { FromTrainer } from '../../../gpu-node/train/protocol.ts';

/** A training process that says it has begun and then hears nothing any more. */
process.on('message', () => {
  const event = { level: 'info', message: 'begun', type: 'message', data: null } as const;
  process.send!({ type: 'event', event } satisfies FromTrainer, undefined, undefined, () => {
    for (;;);
  });
});
