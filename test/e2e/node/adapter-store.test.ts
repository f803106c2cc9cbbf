import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type AdapterSource, AdapterStore } from '../../../gpu-node/serve/adapter-store.ts';
import {
  type BundleBytes,
  bundleId,
  bundleSize,
  readBundleFiles,
} from '../../../gpu-node/weights/bundle-files.ts';
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, WEFT_FILE } from '../../../shared/adapter-format.ts';
import { AppError } from '../../../shared/errors.ts';
import { recordingLog } from '../../support/logs.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-store-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** 1,000 bytes of weights, 3 of everything else. */
function bundle(byte: number): { id: string; files: BundleBytes } {
  const files = {
    [ADAPTER_CONFIG_FILE]: Uint8Array.of(byte),
    [ADAPTER_WEIGHTS_FILE]: new Uint8Array(1000).fill(byte),
    [WEFT_FILE]: Uint8Array.of(byte, byte),
  };
  return { id: bundleId(files), files };
}

class Edge implements AdapterSource {
  readonly bundles = new Map<string, BundleBytes>();
  downloads = 0;
  failure: Error | undefined;

  async downloadAdapter(id: string, to: string): Promise<void> {
    this.downloads++;
    if (this.failure) throw this.failure;
    const files = this.bundles.get(id);
    if (!files) throw new AppError('adapter_not_found', 'unknown');
    for (const [name, bytes] of Object.entries(files)) await writeFile(join(to, name), bytes);
  }
}

/** Gives the files as they are. */
async function read(of: string) {
  if (!existsSync(of)) return undefined;
  const contents = readBundleFiles(of);
  return { id: bundleId(contents), bytes: bundleSize(contents), contents };
}

async function open(edge: Edge, maxBytes = 1e6) {
  const { log, lines } = recordingLog();
  return { store: await AdapterStore.open({ folder, maxBytes, source: edge, read, log }), lines };
}

it('fetches a bundle once, also across restarts', async () => {
  const { id, files } = bundle(1);
  const edge = new Edge();
  edge.bundles.set(id, files);
  const first = await open(edge);
  const [a, b] = await Promise.all([first.store.read(id), first.store.read(id)]);
  expect(Buffer.compare(a[ADAPTER_WEIGHTS_FILE]!, files[ADAPTER_WEIGHTS_FILE]!)).toBe(0);
  expect(b).toBe(a);
  await (await open(new Edge())).store.read(id);
  expect(edge.downloads).toBe(1);
});

it('drops a corrupt file, says so and fetches it again', async () => {
  const { id, files } = bundle(1);
  const edge = new Edge();
  edge.bundles.set(id, files);
  const { store, lines } = await open(edge);
  await store.read(id);
  await writeFile(join(folder, id, ADAPTER_WEIGHTS_FILE), new Uint8Array(1000));
  const again = await store.read(id);
  expect(Buffer.compare(again[ADAPTER_WEIGHTS_FILE]!, files[ADAPTER_WEIGHTS_FILE]!)).toBe(0);
  expect(lines.map(({ message }) => message)).toEqual([
    'a cached adapter is corrupt: dropped, and fetched again',
  ]);
});

it('keeps nothing of a bundle that is not what its name says', async () => {
  const { id } = bundle(1);
  const edge = new Edge();
  edge.bundles.set(id, bundle(2).files);
  const { store } = await open(edge);
  await expect(store.read(id)).rejects.toMatchObject({ code: 'upstream_failed' });
  expect(await readdir(folder)).toEqual([]);
});

it('passes on that the edge has no such bundle', async () => {
  const { store } = await open(new Edge());
  await expect(store.read('a'.repeat(64))).rejects.toMatchObject({ code: 'adapter_not_found' });
  expect(await readdir(folder)).toEqual([]);
});

it('keeps the most recently used within its bytes, also those of an earlier process', async () => {
  const edge = new Edge();
  const bundles = [1, 2, 3].map(bundle);
  for (const { id, files } of bundles) edge.bundles.set(id, files);
  const [one, two, three] = bundles.map(({ id }) => id) as [string, string, string];
  const { store } = await open(edge, 2100);
  await store.read(one);
  await store.read(two);
  await store.read(one);
  await store.read(three);
  expect((await readdir(folder)).sort()).toEqual([one, three].sort());
  await utimes(join(folder, three), 1, 1);
  await open(edge, 1100);
  expect(await readdir(folder)).toEqual([one]);
});

it('removes a bundle that is deleted while it is being fetched', async () => {
  const { id, files } = bundle(1);
  const edge = new Edge();
  edge.bundles.set(id, files);
  const { store } = await open(edge);
  const reading = store.read(id);
  await store.drop(id);
  await reading;
  await expect.poll(() => readdir(folder)).toEqual([]);
});

it('serves nothing from a folder that is being removed', async () => {
  const { id, files } = bundle(1);
  const edge = new Edge();
  edge.bundles.set(id, files);
  const { store } = await open(edge);
  await store.read(id);
  edge.bundles.delete(id);
  const dropped = store.drop(id);
  await expect(store.read(id)).rejects.toMatchObject({ code: 'adapter_not_found' });
  await dropped;
});

it('gives its space up where the disk is full, and says so', async () => {
  const [one, two] = [bundle(1), bundle(2)];
  const edge = new Edge();
  edge.bundles.set(one.id, one.files);
  const { store, lines } = await open(edge);
  await store.read(one.id);
  edge.failure = new AppError('no_capacity', 'the disk under WEFT_HOME is full');
  await expect(store.read(two.id)).rejects.toMatchObject({ code: 'no_capacity' });
  expect(lines.at(-1)?.message).toBe('the disk is full: the adapter cache is emptied');
  expect(await readdir(folder)).toEqual([]);
});

it('removes what a killed process left half written, once it is old', async () => {
  for (const name of ['partial-old', 'partial-new']) await mkdir(join(folder, name));
  await utimes(join(folder, 'partial-old'), 1, 1);
  await open(new Edge());
  expect(await readdir(folder)).toEqual(['partial-new']);
});
