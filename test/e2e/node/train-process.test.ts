import { expect, it } from 'vitest';
import { type TrainingNews, trainInProcess } from '../../../gpu-node/daemon/train-process.ts';
import type { TrainingSpec } from '../../../gpu-node/train/protocol.ts';
import { hyperparametersRequest, peftRequest } from '../../../shared/peft-config.ts';

const spec: TrainingSpec = {
  base_model: { id: 'tiny-bert', folder: '/none', sha256: '0'.repeat(64), weights_folder: '/none' },
  training_file: '/none',
  validation_file: null,
  validation_split: 'auto',
  aims: { effort: 'auto', metric: 'auto' },
  method: peftRequest.parse({ type: 'lora' }),
  hyperparameters: hyperparametersRequest.parse({}),
  auto_precision: 'fp32',
  resolved: null,
  seed: 1,
  output_folder: '/none',
  device: 'cpu',
  threads: 1,
};

function trainWith(trainer: string, signal = new AbortController().signal, onNews = (_: TrainingNews) => {}) {
  const entry = new URL(`../../support/trainers/${trainer}.ts`, import.meta.url);
  return trainInProcess({ entry, spec, signal, onNews });
}

it('tells how a process died, and that another attempt may fare better', async () => {
  await expect(trainWith('crash')).rejects.toMatchObject({
    code: 'training_failed',
    message: 'the training process ended early (SIGKILL); it may have run out of memory',
    retryable: true,
    detail: 'about to die\n',
  });
});

it('passes on why a process gave up', async () => {
  await expect(trainWith('refuse')).rejects.toMatchObject({
    code: 'invalid_dataset',
    message: 'the rows have one label',
    retryable: false,
  });
});

it('kills a process that does not stop when told to', async () => {
  const stop = new AbortController();
  const training = trainWith('deaf', stop.signal, () => stop.abort(new Error('cancelled')));
  await expect(training).rejects.toThrow('cancelled');
});

it('starts none where it is already over', async () => {
  await expect(trainWith('deaf', AbortSignal.abort(new Error('over')))).rejects.toThrow('over');
});
