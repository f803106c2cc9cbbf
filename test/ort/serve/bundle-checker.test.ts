import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type BaseModelSource, openBaseModel } from '../../../gpu-node/models/open-base-model.ts';
import { BundleChecker } from '../../../gpu-node/serve/bundle-checker.ts';
import { bundleId } from '../../../gpu-node/weights/bundle-files.ts';
import { ADAPTER_WEIGHTS_FILE, WEFT_FILE } from '../../../shared/adapter-format.ts';
import type { PeftBundle } from '../../support/bundles.ts';
import { randomBundle } from '../../support/bundles.ts';
import { recordingLog } from '../../support/logs.ts';
import { TINY_BERT } from '../../support/tiny-bert.ts';

let folder: string;
let source: BaseModelSource;
let checker: BundleChecker;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-checker-'));
  source = { id: 'tiny-bert', folder: TINY_BERT, sha256: '0'.repeat(64), weightsFolder: folder };
  checker = new BundleChecker([source], recordingLog().log);
});
afterEach(async () => {
  await checker.stop();
  await rm(folder, { recursive: true, force: true });
});

async function put(files: PeftBundle): Promise<string> {
  const path = join(folder, 'bundle');
  await mkdir(path, { recursive: true });
  for (const [file, bytes] of Object.entries(files)) await writeFile(join(path, file), bytes);
  return path;
}

const someBundle = async () => randomBundle(await openBaseModel(source), source, { seed: 1 });

it('says of an adapter that it reads again what it said first, with its weights', async () => {
  const files = await someBundle();
  const path = await put(files);
  const [first, again] = [await checker.read(path), await checker.read(path)];
  expect(first).toMatchObject({
    id: bundleId(files),
    contents: { labels: ['label 0', 'label 1', 'label 2'] },
  });
  expect((first!.contents as { weights: Uint8Array }).weights).toEqual(
    new Uint8Array(files[ADAPTER_WEIGHTS_FILE]),
  );
  expect(again).toEqual(first);
});

it('notices that the weights of an adapter it has read before are others now', async () => {
  const files = await someBundle();
  const path = await put(files);
  await checker.read(path);
  const changed = new Uint8Array(files[ADAPTER_WEIGHTS_FILE]);
  changed[changed.length - 1]! ^= 1;
  await put({ ...files, [ADAPTER_WEIGHTS_FILE]: changed });
  expect((await checker.read(path))!.id).not.toBe(bundleId(files));
});

it('refuses an adapter each time with the same words', async () => {
  const path = await put({ ...(await someBundle()), [WEFT_FILE]: new TextEncoder().encode('{}') });
  const refusals = [await checker.read(path), await checker.read(path)].map((read) => read!.contents);
  expect(refusals[0]).toMatchObject({ code: 'invalid_adapter' });
  expect(String(refusals[1])).toBe(String(refusals[0]));
});
