import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keyOf, type Run } from '../../../scripts/experiment/result.ts';
import { ResultStore } from '../../../scripts/experiment/store.ts';
import { resultOf, runOf } from '../../support/experiment.ts';

const FILES = { base: 'b', training: 't', test: 'v' };
const RUN = runOf({});

describe('the name of a run', () => {
  const key = (changed: Partial<Run> = {}, files = FILES) => keyOf({ ...RUN, ...changed }, files);

  it.each<[string, Partial<Run>]>([
    ['the seed', { seed: 2 }],
    ['the engine', { engine: 'peft' }],
    ['a setting', { settings: { method: { r: 4 }, hyperparameters: {} } }],
    ['who chooses the epoch', { protocol: 'published' }],
  ])('is another where %s is', (_, changed) => {
    expect(key(changed)).not.toBe(key());
  });

  it.each(['base', 'training', 'test'])('is another where the contents of the %s file are', (file) => {
    expect(key({}, { ...FILES, [file]: 'other' })).not.toBe(key());
  });

  it('is the same whatever the configuration is called and however its settings are ordered', () => {
    const one = { method: { r: 4, alpha: 8 }, hyperparameters: {} };
    const other = { method: { alpha: 8, r: 4 }, hyperparameters: {} };
    expect(key({ configuration: 'x', settings: other })).toBe(key({ settings: one }));
  });
});

describe('kept results', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'weft-results-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('are read back by another process, and leave nothing half written behind', async () => {
    const result = resultOf({ f1: 0.9 });
    await (await ResultStore.open(folder)).write(result);
    expect(await (await ResultStore.open(folder)).read(result.key)).toEqual(result);
    expect(await readdir(folder)).toEqual([`${result.key}.json`]);
  });

  it('do not hold a run that has not finished', async () => {
    expect(await (await ResultStore.open(folder)).read('0123')).toBeUndefined();
  });

  it('name the file that is none of them', async () => {
    await writeFile(join(folder, '0123.json'), '{"format":');
    await expect((await ResultStore.open(folder)).read('0123')).rejects.toThrow(/0123\.json is no result/);
  });
});
