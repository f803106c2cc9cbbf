import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import {
  type FromTrainer,
  fromTrainer,
  type ToTrainer,
  type TrainingSpec,
} from '../../../gpu-node/train/protocol.ts';
import { hyperparametersRequest } from '../../../shared/peft-config.ts';
import { withFolder } from '../../support/tiny-bert.ts';
import { toyTexts, writeTrainingSpec } from '../../support/toy-task.ts';

const ENTRY = new URL('../../../gpu-node/train/main.ts', import.meta.url);
const ENDLESS = hyperparametersRequest.parse({ epochs: 100, learning_rate: 1e-3, batch_size: 1 });

/** A training process that has been told to start, and what it says. */
function startTrainer(spec: TrainingSpec) {
  const child = fork(ENTRY, { execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  const messages: FromTrainer[] = [];
  child.on('message', (raw) => messages.push(fromTrainer.parse(raw)));
  // Not 'exit' alone: the last messages may still be on their way then.
  const ended = Promise.all([once(child, 'exit'), once(child, 'disconnect')]);
  child.send({ type: 'start', spec } satisfies ToTrainer);
  return { child, messages, ended };
}

/** Starts a job that would take long, and ends it by `end` once it has trained a step. */
function interrupt(end: (child: ChildProcess) => void) {
  return withFolder(async (folder) => {
    const spec = await writeTrainingSpec(folder, toyTexts(60, 1), toyTexts(60, 1));
    const { child, messages, ended } = startTrainer({ ...spec, hyperparameters: ENDLESS });
    const isTraining = () => messages.some(({ type }) => type === 'progress');
    while (!isTraining()) await once(child, 'message');
    end(child);
    const [[code]] = await ended;
    return { code, types: messages.map(({ type }) => type) };
  });
}

describe('a training process', () => {
  it('says what it resolved, how far it is, and what it made', () =>
    withFolder(async (folder) => {
      const { messages, ended } = startTrainer(await writeTrainingSpec(folder, toyTexts(60, 1)));
      const [[code]] = await ended;
      const types = messages.map(({ type }) => type);
      expect(types[0]).toBe('resolved');
      expect(types).toContain('progress');
      expect(messages.filter((each) => each.type === 'event' && each.event.type === 'metrics')).toHaveLength(
        3,
      );
      expect(types.at(-1)).toBe('done');
      expect(code).toBe(0);
    }));

  it('says what is wrong with a dataset, which no other attempt would mend', () =>
    withFolder(async (folder) => {
      const rows = toyTexts(4, 1).map(({ text }) => ({ text, label: 'same' }));
      const { messages, ended } = startTrainer(await writeTrainingSpec(folder, rows));
      await ended;
      expect(messages).toMatchObject([
        { type: 'failed', error: { code: 'invalid_dataset' }, retryable: false },
      ]);
    }));

  it('lets another attempt mend what went wrong on the node, and tells nobody its paths', () =>
    withFolder(async (folder) => {
      const spec = await writeTrainingSpec(folder, toyTexts(8, 1));
      const { messages, ended } = startTrainer({ ...spec, training_file: `${folder}/gone.jsonl` });
      await ended;
      expect(messages).toMatchObject([
        { type: 'failed', error: { code: 'internal_error' }, retryable: true },
      ]);
      expect(JSON.stringify(messages)).not.toContain(folder);
    }));

  it.each<[string, (child: ChildProcess) => void]>([
    ['when told to', (child) => child.send({ type: 'stop' } satisfies ToTrainer)],
    ['on SIGTERM', (child) => child.kill('SIGTERM')],
    ['when the daemon is gone', (child) => child.disconnect()],
  ])('stops %s, and says nothing more', async (_, end) => {
    const { code, types } = await interrupt(end);
    expect(code).toBe(0);
    expect(types).not.toContain('done');
    expect(types).not.toContain('failed');
  });
});
