/**
 * Times a training step of Weft beside HF PEFT's on torch: the same base model, adapter, batches and optimizer, one step
 * of each in turn, so that all meet the same machine. The peer runs twice: with the base model's own dropout, which
 * `model.train()` turns on and Weft leaves out, and without it. The latter gets Weft's first parameters and must give
 * the same losses: it does the same work.
 *
 *     WEFT_PYTHON=.venv/bin/python node bench/train.ts [--data FOLDER] [--base ID|FOLDER] [--steps 15]
 *                                                      [--rows 32] [--length 64] [--threads 2] [--r 8]
 *
 * `--data` names a folder with a train.jsonl of `{"text", "label"}` lines; no text is used twice. Without it the batches
 * are random tokens, unpadded.
 */
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { createLog } from '../gpu-node/log.ts';
import { openBaseModel } from '../gpu-node/models/open-base-model.ts';
import { RUNTIME_VERSION } from '../gpu-node/runtime/session.ts';
import { AdamW, clipGradients } from '../gpu-node/train/optimizers.ts';
import { TrainingRunner } from '../gpu-node/train/runner.ts';
import { locateBaseModel } from '../gpu-node/weights/locate-base-model.ts';
import { homeFolder } from '../scripts/home.ts';
import { batchesOfTexts, randomBatches } from './batches.ts';
import { PeerProcess } from './peer-process.ts';
import { median, quartiles } from './statistics.ts';

/** Steps at the start that are not counted: they allocate. */
const WARMUP = 3;
const LEARNING_RATE = 5e-4;
const CLIP = 1;

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    base: { type: 'string', default: 'minilm-l6-384' },
    steps: { type: 'string', default: '15' },
    rows: { type: 'string', default: '32' },
    length: { type: 'string', default: '64' },
    threads: { type: 'string', default: '2' },
    r: { type: 'string', default: '8' },
    python: { type: 'string', default: process.env.WEFT_PYTHON ?? 'python3' },
  },
});
const [steps, rows, length, threads, r] = [
  values.steps,
  values.rows,
  values.length,
  values.threads,
  values.r,
].map(Number) as [number, number, number, number, number];

const home = homeFolder();
const located = await locateBaseModel(values.base, { home, log: createLog(process.stderr, true) });
const base = await openBaseModel({ ...located, weightsFolder: `${home}/weights` });
const { batches, labels } = values.data
  ? await batchesOfTexts(values.data, located.folder, { count: steps + WARMUP, rows, length })
  : randomBatches(base.architecture.vocabSize, { count: steps + WARMUP, rows, length });

const runner = await TrainingRunner.create(
  {
    base,
    config: {
      type: 'lora',
      target_modules: ['query', 'value'],
      r,
      alpha: 2 * r,
      dropout: 0,
      use_rslora: false,
      use_dora: false,
      pooling: 'mean',
      base_precision: 'fp32',
    },
    labels,
  },
  { seed: 1, device: 'cpu', threads },
);
const optimizer = new AdamW(runner.parameters, { weightDecay: 0.01 });
const setup = {
  folder: located.folder,
  threads,
  labels,
  r,
  learningRate: LEARNING_RATE,
  clip: CLIP,
  parameters: Object.fromEntries(runner.parameters.map(({ name, data }) => [name, [...data]])),
};
const usual = await PeerProcess.start(values.python, { ...setup, dropout: true });
const same = await PeerProcess.start(values.python, { ...setup, dropout: false });

const times = { weft: [] as number[], usual: [] as number[], same: [] as number[] };
let worst = 0;
for (const [i, batch] of batches.entries()) {
  const start = performance.now();
  const { loss, gradients } = await runner.step(batch);
  clipGradients(gradients, CLIP);
  optimizer.step(gradients, LEARNING_RATE);
  const ms = performance.now() - start;
  const ofUsual = await usual.step(batch);
  const ofSame = await same.step(batch);
  worst = Math.max(worst, Math.abs(loss - ofSame.loss) / Math.abs(ofSame.loss));
  if (i < WARMUP) continue;
  times.weft.push(ms);
  times.usual.push(ofUsual.ms);
  times.same.push(ofSame.ms);
}
await runner.release();
await usual.stop();
await same.stop();

const show = (ms: readonly number[]) => {
  const [low, high] = quartiles(ms);
  return `${median(ms).toFixed(0)} ms (quartiles ${low.toFixed(0)}-${high.toFixed(0)}, best ${Math.min(...ms).toFixed(0)})`;
};
const compare = (ms: readonly number[]) => {
  const ratio = median(times.weft.map((ours, i) => ms[i]! / ours));
  const best = Math.min(...ms) / Math.min(...times.weft);
  return `${show(ms)}; ${ratio.toFixed(2)} times weft's (median of the turns; best steps ${best.toFixed(2)})`;
};
console.log(
  `machine   ${cpus()[0]?.model}, ${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
);
console.log(`versions  node ${process.version}, onnxruntime ${RUNTIME_VERSION}, ${same.versions}`);
console.log(
  `shape     ${located.id}, ${rows} x ${length} tokens of ${values.data ?? 'random ids'}, LoRA r ${r} on query and value, fp32, ${threads} threads`,
);
console.log(
  `losses    differ from hf peft's without dropout by at most ${worst.toExponential(1)} (relative)`,
);
console.log(`weft                  ${show(times.weft)}`);
console.log(`hf peft               ${compare(times.usual)}`);
console.log(`hf peft, no dropout   ${compare(times.same)}`);
