/**
 * Memory of a node's serving over many sorts of adapters: each sort targets its own choice of layers, and gets as many adapters and texts
 * as the one before. The base model is of MiniLM's shape with random weights, in a folder that is removed afterwards.
 *
 *     node bench/sorts.ts [--sorts 16] [--adapters 8] [--rank 8] [--precision int8] [--threads 2]
 *
 * Linux only: memory is read from /proc/self/smaps_rollup.
 */
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { settleAllocator } from '../gpu-node/allocator.ts';
import { createLog } from '../gpu-node/log.ts';
import { openBaseModel } from '../gpu-node/models/open-base-model.ts';
import { Classifier } from '../gpu-node/serve/classifier.ts';
import { bundleId } from '../gpu-node/weights/bundle-files.ts';
import { numberOptions } from '../scripts/number-options.ts';
import { basePrecision } from '../shared/peft-config.ts';
import { randomBundle } from '../test/support/bundles.ts';
import { processMemory } from './process-memory.ts';
import { writeRandomModel } from './random-model.ts';

settleAllocator();

const MINILM = {
  vocab_size: 30522,
  hidden_size: 384,
  num_hidden_layers: 6,
  num_attention_heads: 12,
  intermediate_size: 1536,
};
const TARGETS = ['query', 'key', 'value', 'intermediate.dense', 'output.dense'];
const TOKENIZER = new URL('../test/fixtures/tiny-bert/tokenizer.json', import.meta.url);
const TEXTS = 64;
const WORDS = 48;

const { values } = parseArgs({
  options: {
    sorts: { type: 'string', default: '16' },
    adapters: { type: 'string', default: '8' },
    rank: { type: 'string', default: '8' },
    precision: { type: 'string', default: 'int8' },
    threads: { type: 'string', default: '2' },
  },
});
const { sorts, adapters, rank, threads } = numberOptions(values, ['sorts', 'adapters', 'rank', 'threads']);
const precision = basePrecision.parse(values.precision);

const folder = await mkdtemp(join(tmpdir(), 'weft-sorts-'));
const source = { id: 'minilm-shape', folder, sha256: '0'.repeat(64), weightsFolder: join(folder, 'weights') };
await writeRandomModel(folder, MINILM);
await copyFile(TOKENIZER, join(folder, 'tokenizer.json'));
const base = await openBaseModel(source);
const cache = join(folder, 'adapters');

/** Writes adapters that change the layers chosen by the bits of `sort`. */
async function writeSort(sort: number): Promise<string[]> {
  const targets = TARGETS.filter((_, bit) => ((sort >> bit) & 1) === 1);
  const bundles: string[] = [];
  for (let i = 0; i < adapters; i++) {
    const files = randomBundle(base, source, {
      seed: 100 * sort + i,
      r: rank,
      targets,
      precision,
      maxLength: 64,
    });
    const id = bundleId(files);
    await mkdir(join(cache, id), { recursive: true });
    for (const [name, bytes] of Object.entries(files)) await writeFile(join(cache, id, name), bytes);
    bundles.push(id);
  }
  return bundles;
}

const written: string[][] = [];
for (let sort = 1; sort <= sorts; sort++) written.push(await writeSort(sort));
const classifier = await Classifier.open({
  bases: [source],
  cache: { folder: cache, maxBytes: 1e10, source: { downloadAdapter: () => Promise.reject() } },
  device: 'cpu',
  threads,
  slots: 64,
  batchTokens: undefined,
  queueTokens: 524_288,
  memoryBytes: 512 * 1024 * 1024,
  sessionBytes: 768 * 1024 * 1024,
  log: createLog(process.stderr, false),
});
for (const [sort, bundles] of written.entries()) {
  const rows = Array.from({ length: TEXTS }, (_, i) => ({
    bundle: bundles[i % bundles.length]!,
    text: 'fox '.repeat(1 + (i % WORDS)),
  }));
  for (let i = 0; i < 3; i++) await classifier.classify({ rows }, new AbortController().signal);
  const { anonymous, mapped } = await processMemory(process.pid);
  const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
  console.log(
    `sort ${sort + 1}: ${classifier.sessions} groups of sessions, ${megabytes(anonymous)} private, ${megabytes(mapped)} of mapped files`,
  );
}
await classifier.stop();
await rm(folder, { recursive: true });
