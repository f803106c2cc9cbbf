/**
 * Memory of a base model: the size of its weight file by kind of tensor, and the memory that a serving and a training session add, each in
 * a process of its own. The model has BERT-large's shape and random weights, which are written as a Hugging Face folder the first time; or
 * it is the folder given.
 *
 *     node bench/memory.ts [--base FOLDER] [--precision nf4] [--rows 8] [--length 64] [--threads 2]
 *
 * Linux only: memory is read from /proc/self/smaps_rollup.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { matchTargets } from '../gpu-node/methods/targets.ts';
import type { BaseModel } from '../gpu-node/models/model.ts';
import { openBaseModel } from '../gpu-node/models/open-base-model.ts';
import { Forward } from '../gpu-node/serve/forward.ts';
import { TrainingRunner } from '../gpu-node/train/runner.ts';
import { homeFolder } from '../scripts/home.ts';
import { numberOptions } from '../scripts/number-options.ts';
import { type BasePrecision, basePrecision, type PeftConfig } from '../shared/peft-config.ts';
import { processMemory } from './process-memory.ts';
import { type BertShape, writeRandomModel } from './random-model.ts';

const BERT_LARGE: BertShape = {
  vocab_size: 30522,
  hidden_size: 1024,
  num_hidden_layers: 24,
  num_attention_heads: 16,
  intermediate_size: 4096,
};

const { values } = parseArgs({
  options: {
    base: { type: 'string', default: join(homeFolder(), 'bench', 'bert-large') },
    precision: { type: 'string', default: 'nf4' },
    rows: { type: 'string', default: '8' },
    length: { type: 'string', default: '64' },
    threads: { type: 'string', default: '2' },
    session: { type: 'string' },
  },
});
const precision = basePrecision.parse(values.precision);
const { rows, length, threads } = numberOptions(values, ['rows', 'length', 'threads']);
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

function openBase(of: BasePrecision): Promise<BaseModel> {
  const folder = values.base;
  return openBaseModel(
    { id: folder, folder, sha256: 'b'.repeat(64), weightsFolder: join(folder, 'weights') },
    of,
  );
}

/** Runs a session on random tokens; returns a function that runs it once more. */
async function startServing(base: BaseModel): Promise<() => Promise<unknown>> {
  const layers = matchTargets(['query', 'value'], base.architecture.linears('mean'));
  const plan = { lowRank: layers.map(({ name }) => name) };
  const forward = await Forward.create({ base, plan, slots: 8, device: 'cpu', threads });
  const ids = () => Int32Array.from({ length }, (_, i) => 1000 + i);
  return () => forward.run(Array.from({ length: rows }, () => ({ ids: ids(), adapter: null })));
}

async function startTraining(base: BaseModel): Promise<() => Promise<unknown>> {
  const config: PeftConfig = {
    type: 'lora',
    target_modules: ['query', 'value'],
    r: 8,
    alpha: 16,
    dropout: 0,
    use_rslora: false,
    use_dora: false,
    pooling: 'mean',
    base_precision: precision,
  };
  const runner = await TrainingRunner.create(
    { base, config, labels: 2 },
    { seed: 1, device: 'cpu', threads },
  );
  const ids = Int32Array.from({ length }, (_, i) => 1000 + i);
  return () => runner.step(Array.from({ length: rows }, (_, i) => ({ ids, label: i % 2 })));
}

const SESSIONS = { serving: startServing, training: startTraining };

/** Runs in a process of its own: measures the memory that a session adds when it is made, and after three runs. */
async function measure(name: keyof typeof SESSIONS): Promise<void> {
  const base = await openBase(precision);
  const report = async (what: string) => {
    const now = await processMemory(process.pid);
    const added = (field: keyof typeof now) => megabytes(now[field] - before[field]);
    console.log(`${name}, ${what}: ${added('anonymous')} private, ${added('mapped')} of mapped files`);
  };
  const before = await processMemory(process.pid);
  const run = await SESSIONS[name](base);
  await report('opened');
  const start = performance.now();
  for (let i = 0; i < 3; i++) await run();
  const seconds = (performance.now() - start) / 3000;
  await report(`after runs of ${rows} x ${length} tokens, ${seconds.toFixed(2)} s each`);
}

async function describeFile(): Promise<void> {
  if (!(await stat(join(values.base, 'config.json')).catch(() => undefined))) {
    await writeRandomModel(values.base, BERT_LARGE);
  }
  const start = performance.now();
  const { weights } = await openBase(precision);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const tensors = Object.values(weights.tensors);
  const bytes = new Map<string, number>();
  for (const { dtype, length: size } of tensors) bytes.set(dtype, (bytes.get(dtype) ?? 0) + size);
  const total = [...bytes.values()].reduce((sum, size) => sum + size, 0);
  const parts = [...bytes].map(([dtype, size]) => `${dtype} ${megabytes(size)}`).join(', ');
  console.log(`base weights, ${precision}: ${megabytes(total)} (${parts}), opened in ${seconds} s`);
}

if (values.session) {
  await measure(values.session as keyof typeof SESSIONS);
  process.exit();
}
await describeFile();
for (const name of Object.keys(SESSIONS)) {
  const child = fork(import.meta.filename, [...process.argv.slice(2), '--session', name]);
  await once(child, 'exit');
}
