/** Weft's side of the batch benchmarks: reads a setup line, then a batch a line; answers each with its time and logits. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { usualBatchTokens } from '../../gpu-node/config.ts';
import { Graph } from '../../gpu-node/graph/builder.ts';
import { encodeModel } from '../../gpu-node/graph/onnx.ts';
import { encoderFeeds, encoderInputs } from '../../gpu-node/models/inputs.ts';
import { type BaseModel, plainLinear } from '../../gpu-node/models/model.ts';
import { openBaseModel } from '../../gpu-node/models/open-base-model.ts';
import { SERVING_METHODS } from '../../gpu-node/peft/index.ts';
import { bytesIn } from '../../gpu-node/peft/method.ts';
import { matchTargets } from '../../gpu-node/peft/targets.ts';
import { RUNTIME_VERSION, Session } from '../../gpu-node/runtime/session.ts';
import { Batcher, type QueuedRow } from '../../gpu-node/serve/batcher.ts';
import { Forward, type ForwardRow, padRows } from '../../gpu-node/serve/forward.ts';
import { type AdapterBase, readAdapterFiles } from '../../gpu-node/weights/adapter-file.ts';
import { ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, WEFT_FILE } from '../../shared/adapter-format.ts';
import { basePrecision } from '../../shared/peft-config.ts';
import type { BatchAnswer, BatchRow, BatchSetup } from '../serve/batch-runner.ts';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const setup = JSON.parse((await lines.next()).value ?? '') as BatchSetup;
const base = await openBaseModel(setup.base, basePrecision.parse(setup.precision));
const run = inBatches(await (setup.adapters.length > 0 ? mixed() : bare()));
answer({ versions: `node ${process.version}, onnxruntime ${RUNTIME_VERSION}` });
for await (const line of { [Symbol.asyncIterator]: () => lines }) {
  const rows = (JSON.parse(line) as BatchRow[]).map(
    ({ ids, adapter }): ForwardRow => ({ ids: Int32Array.from(ids), adapter: String(adapter) }),
  );
  const start = performance.now();
  const logits = await run(rows);
  const ms = performance.now() - start;
  answer({ ms, logits: logits.map((row) => [...row]) } satisfies BatchAnswer);
}
process.exit();

type Run = (rows: readonly ForwardRow[]) => Promise<Float32Array[]>;

/** In the batches that the daemon makes of rows that wait together. */
function inBatches(run: Run): Run {
  const limits = { tokens: usualBatchTokens('cpu', setup.threads), adapters: Number.POSITIVE_INFINITY };
  return async (rows) => {
    const batcher = new Batcher<QueuedRow & ForwardRow & { index: number }>(limits);
    for (const [index, { ids, adapter }] of rows.entries()) {
      const cost = ids.length;
      batcher.add({ index, ids, adapter: adapter!, cost, group: '', tenant: '', abandoned: () => false });
    }
    const logits: Float32Array[] = [];
    for (let batch = batcher.take(''); batch.length > 0; batch = batcher.take('')) {
      const answers = await run(batch);
      for (const [i, { index }] of batch.entries()) logits[index] = answers[i]!;
    }
    return logits;
  };
}

/** Every row on the adapter it names. */
async function mixed(): Promise<Run> {
  const { threads, adapters } = setup;
  const layers = matchTargets(['query', 'value'], base.architecture.linears('mean'));
  const slots = adapters.length;
  const forward = await Forward.create({ base, kind: 'lora', layers, slots, device: 'cpu', threads });
  for (const [i, folder] of adapters.entries()) forward.load(String(i), await readAdapter(folder), 'mean');
  return (rows) => forward.run(rows);
}

async function readAdapter(folder: string) {
  const read = (name: string) => readFile(join(folder, name));
  const files = {
    [ADAPTER_CONFIG_FILE]: await read(ADAPTER_CONFIG_FILE),
    [ADAPTER_WEIGHTS_FILE]: await read(ADAPTER_WEIGHTS_FILE),
    [WEFT_FILE]: await read(WEFT_FILE),
  };
  const { description, weights } = readAdapterFiles(files, adapterBase(base), folder);
  return SERVING_METHODS.lora.read(description, bytesIn(weights), base);
}

function adapterBase({ architecture }: BaseModel): AdapterBase {
  const { family, hiddenSize, intermediateSize, layers, maxLength } = architecture;
  return {
    id: setup.base.id,
    sha256: setup.base.sha256,
    family: family.name,
    hidden_size: hiddenSize,
    num_layers: layers,
    max_length: maxLength,
    intermediate_size: intermediateSize,
  };
}

/** Encoder and pooling alone: no adapter, no classifier, no answer. */
async function bare(): Promise<Run> {
  const { architecture, weights, weightsFolder } = base;
  const graph = new Graph('bare');
  const inputs = encoderInputs(graph, 'batch-first');
  const hidden = architecture.encode(weights, inputs, plainLinear);
  graph.output('pooled', architecture.pool('mean', hidden, weights, inputs, plainLinear));
  const session = await Session.create(encodeModel(graph), {
    name: 'bare',
    weightsFolder,
    threads: setup.threads,
  });
  return async (rows) => {
    await session.run(encoderFeeds(padRows(rows)));
    return rows.map(() => new Float32Array());
  };
}

function answer(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
