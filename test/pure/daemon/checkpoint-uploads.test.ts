import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CheckpointUploads } from '../../../gpu-node/daemon/checkpoint-uploads.ts';

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-uploads-'));
  file = join(folder, 'checkpoint');
});
afterEach(() => rm(folder, { recursive: true }));

const LONG = 60_000;

it('sends one at a time, and of those that wait the newest', async () => {
  const sent: string[] = [];
  const began = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const uploads = new CheckpointUploads({
    file,
    upload: async (path) => {
      began.resolve();
      await goOn.promise;
      sent.push(await readFile(path, 'utf8'));
    },
    onFailure: () => expect.unreachable(),
  });
  await writeFile(file, 'first');
  uploads.offer();
  await began.promise;
  for (const state of ['second', 'third']) {
    await writeFile(file, state);
    uploads.offer();
  }
  goOn.resolve();
  await uploads.finish(LONG);
  expect(sent).toEqual(['first', 'third']);
});

it('sends a last state that nobody told of', async () => {
  const sent: string[] = [];
  const uploads = new CheckpointUploads({
    file,
    upload: async (path) => void sent.push(await readFile(path, 'utf8')),
    onFailure: () => expect.unreachable(),
  });
  await uploads.finish(LONG);
  await writeFile(file, 'last');
  await uploads.finish(LONG);
  expect(sent).toEqual(['last']);
});

it('tells of a failure once, until one succeeds', async () => {
  const failures: unknown[] = [];
  let fails = true;
  const uploads = new CheckpointUploads({
    file,
    upload: async () => {
      if (fails) throw new Error('no answer');
    },
    onFailure: (error) => failures.push(String(error)),
  });
  const send = async () => {
    await writeFile(file, 'state');
    await uploads.finish(LONG);
  };
  await send();
  await send();
  expect(failures).toEqual(['Error: no answer']);
  fails = false;
  await send();
  fails = true;
  await send();
  expect(failures).toHaveLength(2);
});

it('gives up where it takes too long', async () => {
  const failures: unknown[] = [];
  const uploads = new CheckpointUploads({
    file,
    upload: (_path, signal) => sleep(LONG, undefined, { signal }),
    onFailure: (error) => failures.push(String(error)),
  });
  await writeFile(file, 'state');
  await uploads.finish(1);
  expect(failures).toEqual(['Error: it takes too long']);
});
