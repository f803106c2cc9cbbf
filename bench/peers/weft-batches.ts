/** Weft's side of the batch benchmarks: reads a setup line, then a batch a line; answers each with its time and logits. */
import { createInterface } from 'node:readline';
import { withPlaceholders } from '../../gpu-node/data/placeholders.ts';
import { placeholdersOf, planOf } from '../../gpu-node/methods/index.ts';
import { adapterBase } from '../../gpu-node/models/adapter-base.ts';
import { outlineBaseModel } from '../../gpu-node/models/open-base-model.ts';
import { RUNTIME_VERSION } from '../../gpu-node/runtime/session.ts';
import { WorkerThread } from '../../gpu-node/runtime/worker-thread.ts';
import { AdapterMemory } from '../../gpu-node/serve/adapter-memory.ts';
import { Batcher, type QueuedRow } from '../../gpu-node/serve/batcher.ts';
import type { ForwardRow } from '../../gpu-node/serve/forward.ts';
import type { ForwardHandlers, ForwardWorkerData } from '../../gpu-node/serve/forward-worker.ts';
import { lanesOf } from '../../gpu-node/serve/lanes.ts';
import { unionOf } from '../../gpu-node/serve/plans.ts';
import { readAdapterFiles } from '../../gpu-node/weights/adapter-file.ts';
import { readBundleFiles } from '../../gpu-node/weights/bundle-files.ts';
import { virtualTokensIn } from '../../shared/methods/text-room.ts';
import { basePrecision } from '../../shared/peft-config.ts';
import type { BatchAnswer, BatchRow, BatchSetup } from '../serve/batch-runner.ts';
import { median } from '../statistics.ts';
import type { BareHandlers, BareWorkerData } from './bare-worker.ts';

const FORWARD = new URL('../../gpu-node/serve/forward-worker.ts', import.meta.url);
const BARE = new URL('./bare-worker.ts', import.meta.url);
const ADAPTER_BYTES = 512 * 1024 * 1024;
/** Bytes of stacks that hold 64 adapters of r 8 on all layers, or as many of r 64 on query and value. */
const STACK_BYTES = 512 * 1024 * 1024;

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const setup = JSON.parse((await lines.next()).value ?? '') as BatchSetup;
const precision = basePrecision.parse(setup.precision);
const lanes = lanesOf('cpu', setup.threads);
/** Widths of the rows that each adapter gets. */
const widths: (readonly number[])[] = [];
/** Placeholders before the ids of each adapter's rows. */
const placeholders: number[] = [];
/** How long each adapter took to be loaded. */
const loads: number[] = [];
const runs = await (setup.adapters.length > 0 ? mixed() : bare());
const versions = `node ${process.version}, onnxruntime ${RUNTIME_VERSION}`;
answer({ versions, ...(loads.length > 0 && { loadMs: median(loads) }) });
for await (const line of { [Symbol.asyncIterator]: () => lines }) {
  const rows = (JSON.parse(line) as BatchRow[]).map(
    ({ ids, adapter }): ForwardRow => ({
      ids: withPlaceholders(placeholders[adapter] ?? 0, Int32Array.from(ids)),
      adapter: String(adapter),
    }),
  );
  const start = performance.now();
  const logits = await runAll(rows);
  const ms = performance.now() - start;
  answer({ ms, logits: logits.map((row) => [...row]) } satisfies BatchAnswer);
}
process.exit();

type Run = (rows: readonly ForwardRow[]) => Promise<readonly Float32Array[]>;

/** Runs rows as the daemon runs rows that wait together: in its batches, on each lane in turn. */
async function runAll(rows: readonly ForwardRow[]): Promise<Float32Array[]> {
  const limits = { tokens: lanes.runTokens(precision), adapters: Number.POSITIVE_INFINITY };
  const batcher = new Batcher<QueuedRow & { row: ForwardRow; index: number }>(limits);
  for (const [index, row] of rows.entries()) {
    const { ids, adapter } = row;
    batcher.add({
      row,
      index,
      adapter: adapter!,
      cost: ids.length,
      widths: widths[Number(adapter)] ?? [],
      tenant: '',
      abandoned: () => false,
    });
  }
  const logits: Float32Array[] = [];
  const work = async (run: Run) => {
    for (let batch = batcher.take(); batch.length > 0; batch = batcher.take()) {
      const answers = await run(batch.map(({ row }) => row));
      for (const [i, { index }] of batch.entries()) logits[index] = answers[i]!;
    }
  };
  await Promise.all(runs.map(work));
  return logits;
}

/** Runs every row on the adapter that it names. */
async function mixed(): Promise<Run[]> {
  const outline = await outlineBaseModel(setup.base);
  const memory = new AdapterMemory(ADAPTER_BYTES);
  const base = adapterBase(setup.base, outline);
  const files = setup.adapters.map((folder) => {
    const start = performance.now();
    const read = readAdapterFiles(readBundleFiles(folder), base, folder);
    loads.push(performance.now() - start);
    return read;
  });
  const plans = files.map(({ description }) => planOf(description, outline.architecture, 'mean'));
  const data: ForwardWorkerData = {
    base: setup.base,
    precision,
    plan: unionOf(plans),
    memory: memory.buffer,
    stackBytes: STACK_BYTES,
    slots: setup.adapters.length,
    device: 'cpu',
    threads: lanes.threads,
  };
  const workers = startWorkers<ForwardHandlers>(FORWARD, data);
  await Promise.all(workers.map((worker) => worker.call('ready', null)));
  for (const [i, { description, weights }] of files.entries()) {
    const start = performance.now();
    const stored = memory.store(weights)!;
    const loaded = { handle: String(i), description, pooling: 'mean' as const, weights: stored };
    [widths[i] = []] = await Promise.all(workers.map((worker) => worker.call('load', loaded)));
    loads[i]! += performance.now() - start;
    placeholders[i] = placeholdersOf({ type: description.method }, virtualTokensIn(description));
  }
  return workers.map((worker) => async (rows) => (await worker.call('run', rows)).logits);
}

async function bare(): Promise<Run[]> {
  const data: BareWorkerData = { base: setup.base, precision, threads: lanes.threads };
  const workers = startWorkers<BareHandlers>(BARE, data);
  await Promise.all(workers.map((worker) => worker.call('ready', null)));
  return workers.map((worker) => async (rows) => {
    await worker.call('run', rows);
    return rows.map(() => new Float32Array());
  });
}

function startWorkers<H extends ForwardHandlers | BareHandlers>(entry: URL, data: object): WorkerThread<H>[] {
  // Without a listener a worker that ends by itself still fails its calls, which end this process.
  const onDeath = () => {};
  return Array.from({ length: lanes.count }, () => new WorkerThread<H>(entry, data, onDeath));
}

function answer(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
