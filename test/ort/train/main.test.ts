import { type ChildProcess, execFileSync, type ForkOptions, fork } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync } from 'node:fs';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
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

/** A training process that has been told to start, and what it says; `command` starts Node. */
function startTrainer(spec: TrainingSpec, command: ForkOptions = { execArgv: [] }) {
  const child = fork(ENTRY, { ...command, stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  const messages: FromTrainer[] = [];
  const stderr = text(child.stderr!);
  child.on('message', (raw) => messages.push(fromTrainer.parse(raw)));
  // Not 'exit' alone: the last messages may still be on their way then.
  const ended = Promise.all([once(child, 'exit'), once(child, 'disconnect')]);
  child.send({ type: 'start', spec } satisfies ToTrainer);
  return { child, messages, ended, stderr };
}

/** Starts a job that would take long, and ends it by `end` once it has said so. */
function interrupt(end: (child: ChildProcess) => void, when: FromTrainer['type'] = 'progress') {
  return withFolder(async (folder) => {
    const spec = await writeTrainingSpec(folder, toyTexts(60, 1), toyTexts(60, 1));
    const checkpoint = { file: join(folder, 'checkpoint'), interval: 3_600_000, resume: null };
    const { child, messages, ended } = startTrainer({ ...spec, hyperparameters: ENDLESS, checkpoint });
    while (!messages.some(({ type }) => type === when)) await once(child, 'message');
    end(child);
    const [[code]] = await ended;
    const saved = existsSync(checkpoint.file);
    return { code, saved, types: messages.map(({ type }) => type) };
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
      const metrics = messages.flatMap((each) =>
        each.type === 'event' && each.event.type === 'metrics' ? [each.event] : [],
      );
      expect(metrics.filter(({ data }) => data?.epoch !== undefined)).toHaveLength(3);
      expect(metrics.find(({ data }) => data?.step === 1)?.message).toMatch(/^Step 1\/\d+: training loss=/);
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
  ])('stops %s, saves its state, and says no result', async (_, end) => {
    const { code, saved, types } = await interrupt(end);
    expect(code).toBe(0);
    expect(saved).toBe(true);
    expect(types).not.toContain('done');
    expect(types).not.toContain('failed');
  });

  it('stops while it builds its sessions', async () => {
    const { code, types } = await interrupt(
      (child) => child.send({ type: 'stop' } satisfies ToTrainer),
      'resolved',
    );
    expect(code).toBe(0);
    expect(types).not.toContain('failed');
    expect(types).not.toContain('checkpoint');
  });

  it('tells the daemon that it has saved its state', async () => {
    const { types } = await interrupt((child) => child.send({ type: 'stop' } satisfies ToTrainer));
    expect(types.at(-1)).toBe('checkpoint');
  });

  it('stops while it reads a dataset that has no end', () =>
    withFolder(async (folder) => {
      const spec = await writeTrainingSpec(folder, toyTexts(8, 1));
      const training_file = join(folder, 'endless');
      execFileSync('mkfifo', [training_file]);
      const { child, messages, ended } = startTrainer({ ...spec, training_file });
      const rows = toyTexts(1000, 1).map((row) => `${JSON.stringify(row)}\n`);
      const pipe = createWriteStream(training_file);
      const closed = new Promise((resolve) => pipe.on('error', resolve));
      const write = async () => pipe.write(rows.join('')) || Promise.race([once(pipe, 'drain'), closed]);
      for (let i = 0; i < 20; i++) await write();
      child.send({ type: 'stop' } satisfies ToTrainer);
      while (!pipe.errored) await write().catch(() => {});
      const [[code]] = await ended;
      expect(code).toBe(0);
      expect(messages).toEqual([]);
    }));
});

describe('a full disk', () => {
  const full = (what: string) => ({
    type: 'failed',
    retryable: true,
    error: {
      code: 'no_capacity',
      message: `the node's disk is full: there is no room for ${what} under its WEFT_HOME; free space there, or move it to a larger disk`,
    },
  });

  it.each([
    ['tokens', "the dataset's tokens"],
    ['adapter_model.safetensors', "the adapter's files"],
  ])('under %s is said to the user, and to the log with its folder', (file, what) =>
    withFolder(async (folder) => {
      const spec = await writeTrainingSpec(folder, toyTexts(60, 1));
      await symlink('/dev/full', join(spec.output_folder, file));
      const { messages, ended, stderr } = startTrainer(spec);
      await ended;
      expect(messages.at(-1)).toEqual(full(what));
      expect(await stderr).toContain(`${spec.output_folder} is full`);
    }),
  );

  it("under the base model's weights is too, also where it is a limit of the process", () =>
    withFolder(async (folder) => {
      const spec = await writeTrainingSpec(folder, toyTexts(60, 1));
      const execArgv = ['-c', 'ulimit -f 16; exec "$0" "$@"', process.execPath];
      const { messages, ended, stderr } = startTrainer(spec, { execPath: '/bin/sh', execArgv });
      await ended;
      expect(messages.at(-1)).toEqual(full("the base model's weights"));
      expect(await stderr).toContain(`${folder} is full`);
    }));
});
