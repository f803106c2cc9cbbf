/**
 * Trains with Weft and with HF PEFT on torch in turn, so that all meet the same machine: the same base model, first
 * weights, optimizer and texts, each side in a process of its own. HF PEFT runs as its users run it (`model.train()`
 * turns on the base model's own dropout), in fp32, and under bf16 autocast where a few steps show that to be faster.
 *
 *     WEFT_PYTHON=.venv/bin/python node bench/train.ts [--data FOLDER] [--epoch] [--base ID|FOLDER] [--precision fp32]
 *                                       [--steps 15] [--rows 32] [--length 64] [--threads 2] [--r 8] [--slice 8]
 *
 * Without `--epoch` all take the same batches, one step of each in turn, without dropout in the adapter; a third HF PEFT
 * without any dropout then does Weft's work exactly, and must give the same losses. With `--epoch` each side goes once
 * through the texts in its own way, a slice of batches of each in turn: HF PEFT shuffles and pads to a batch's longest
 * text, without dropout in the adapter, its defaults; Weft takes batches of similar length with dropout 0.1, its own.
 *
 * `--data` names a folder with a train.jsonl of `{"text", "label"}` lines; no text is used twice. Without it the batches
 * are random tokens, unpadded. `--steps` ends an epoch early. Real tokens are counted: padding is not.
 */
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { lengthBatches } from '../gpu-node/data/batches.ts';
import { createLog } from '../gpu-node/log.ts';
import { outlineBaseModel } from '../gpu-node/models/open-base-model.ts';
import { Random } from '../gpu-node/random.ts';
import type { TrainingExample } from '../gpu-node/train/parts.ts';
import { locateBaseModel } from '../gpu-node/weights/locate-base-model.ts';
import { homeFolder } from '../scripts/home.ts';
import { numberOptions } from '../scripts/number-options.ts';
import { basePrecision } from '../shared/peft-config.ts';
import { batchesOfTexts, randomBatches, shuffledBatches, tokenizedTexts } from './batches.ts';
import { fastestPrecision } from './fastest.ts';
import { median, quartiles, sum } from './statistics.ts';
import { type Step, TrainerProcess, type TrainerSetup } from './trainer-process.ts';

/** Uncounted steps at the start of each side, which allocate. */
const WARMUP = 3;

const HEADER = [
  'trainer                 ',
  'real tokens/s',
  'ratio',
  'by CPU time',
  'ms a step (quartiles)',
  'best',
  's to first step',
  'peak MiB',
];

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    epoch: { type: 'boolean', default: false },
    base: { type: 'string', default: 'minilm-l6-384' },
    precision: { type: 'string', default: 'fp32' },
    steps: { type: 'string' },
    rows: { type: 'string', default: '32' },
    length: { type: 'string' },
    threads: { type: 'string', default: '2' },
    r: { type: 'string', default: '8' },
    slice: { type: 'string', default: '8' },
    python: { type: 'string', default: process.env.WEFT_PYTHON ?? 'python3' },
  },
});
const { epoch, data, precision } = values;
const { rows, threads, r } = numberOptions(values, ['rows', 'threads', 'r']);
const length = Number(values.length ?? (epoch ? 128 : 64));

interface Side {
  readonly name: string;
  readonly trainer: TrainerProcess;
  readonly batches: readonly TrainingExample[][];
  readonly steps: Step[];
}

const home = homeFolder();
const located = await locateBaseModel(values.base, { home, log: createLog(process.stderr, true) });
const source = { ...located, weightsFolder: `${home}/weights` };
const work = await (epoch ? epochWork() : fixedWork());

const config = {
  type: 'lora' as const,
  target_modules: ['query', 'value'],
  r,
  alpha: 2 * r,
  dropout: epoch ? 0.1 : 0,
  use_rslora: false,
  use_dora: false,
  pooling: 'mean' as const,
  base_precision: basePrecision.parse(precision),
};
const setup: TrainerSetup = {
  base: source,
  config,
  threads,
  labels: work.labels,
  learningRate: 5e-4,
  clip: 1,
  baseDropout: true,
};
const weft = await start(`weft ${precision}`, 'weft', setup, work.ours);
const peft: TrainerSetup = { ...setup, precision: 'fp32', parameters: weft.trainer.parameters! };
const peers = [await start('hf peft fp32', 'torch', peft, work.theirs)];
const fastest = await fastestPrecision('hf peft', ['fp32', 'bf16'], async (each) => {
  const trainer = await TrainerProcess.start('torch', values.python, { ...peft, precision: each });
  const run = async () => (await trainer.step(work.theirs[0]!)).ms;
  return { run, stop: () => trainer.stop() };
});
if (fastest !== 'fp32') {
  peers.push(await start(`hf peft ${fastest}`, 'torch', { ...peft, precision: fastest }, work.theirs));
}
const same = { ...peft, baseDropout: false };
if (!epoch) peers.push(await start('hf peft fp32, no dropout', 'torch', same, work.theirs));
const sides = [weft, ...peers];

console.log(
  `machine   ${cpus()[0]?.model}, ${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
);
console.log(`versions  ${weft.trainer.versions}, ${peers[0]!.trainer.versions}`);
console.log(
  `shape     ${located.id}, ${rows} x ${length} tokens of ${data ?? 'random ids'}${epoch ? ', one epoch' : ''}, LoRA r ${r} on query and value, ${threads} threads`,
);
await alternate(epoch ? Number(values.slice) : 1);
const table = [HEADER];
for (const side of sides) table.push(await report(side));
for (const row of table) console.log(row.map((cell, i) => cell.padEnd(table[0]![i]!.length + 2)).join(''));
if (epoch) {
  const share = work.tokenizingMs / (work.tokenizingMs + sum(weft.steps.map(({ ms }) => ms)));
  console.log(`tokenization takes ${(100 * share).toFixed(1)} % of weft's epoch`);
} else {
  const differences = weft.steps.map(({ loss }, i) => Math.abs(loss / peers.at(-1)!.steps[i]!.loss - 1));
  console.log(
    `losses differ from hf peft's without dropout by at most ${Math.max(...differences).toExponential(1)} (relative)`,
  );
}

/** Trains every side on the same batches. */
async function fixedWork() {
  const shape = { count: Number(values.steps ?? 15) + WARMUP, rows, length };
  const { batches, labels } = data
    ? await batchesOfTexts(data, located.folder, shape)
    : randomBatches((await outlineBaseModel(source)).architecture.vocabSize, shape);
  return { ours: batches, theirs: batches, labels, tokenizingMs: 0 };
}

/** Trains every side on the same texts, in its own batches. */
async function epochWork() {
  if (!data) throw new Error('an epoch needs --data');
  const { examples, labels, ms } = await tokenizedTexts(data, located.folder, length);
  const lengths = examples.map(({ ids }) => ids.length);
  const order = lengthBatches(lengths, rows, new Random(1, 'order'));
  const steps = Math.min(Number(values.steps ?? order.length), order.length);
  return {
    ours: order.slice(0, steps).map((batch) => batch.map((i) => examples[i]!)),
    theirs: shuffledBatches(examples, rows).slice(0, steps),
    labels,
    tokenizingMs: (ms * steps) / order.length,
  };
}

async function start(
  name: string,
  kind: 'weft' | 'torch',
  options: TrainerSetup,
  batches: readonly TrainingExample[][],
): Promise<Side> {
  const trainer = await TrainerProcess.start(kind, values.python, options);
  const steps: Step[] = [await trainer.step(batches[0]!)];
  return { name, trainer, batches, steps };
}

async function alternate(slice: number): Promise<void> {
  while (sides.some(({ steps, batches }) => steps.length < batches.length)) {
    for (const { trainer, batches, steps } of sides) {
      const end = Math.min(steps.length + slice, batches.length);
      while (steps.length < end) steps.push(await trainer.step(batches[steps.length]!));
    }
  }
}

/** Reports a side's time; ratios say how many times as fast Weft is. Ends the side's process. */
async function report({ name, trainer, batches, steps }: Side): Promise<string[]> {
  const times = steps.slice(WARMUP).map(({ ms }) => ms);
  const [low, high] = quartiles(times);
  const ratio = (time: 'ms' | 'cpuMs') => (rate(weft, time) / rate({ batches, steps }, time)).toFixed(2);
  return [
    name,
    rate({ batches, steps }, 'ms').toFixed(0),
    ratio('ms'),
    ratio('cpuMs'),
    `${median(times).toFixed(0)} (${low.toFixed(0)}-${high.toFixed(0)})`,
    Math.min(...times).toFixed(0),
    (trainer.firstStepMs! / 1000).toFixed(1),
    (await trainer.stop()).toFixed(0),
  ];
}

/** Real tokens per second of wall time or of processor time. */
function rate({ batches, steps }: Pick<Side, 'batches' | 'steps'>, time: 'ms' | 'cpuMs'): number {
  const tokens = sum(
    batches
      .slice(WARMUP)
      .flat()
      .map(({ ids }) => ids.length),
  );
  return (1000 * tokens) / sum(steps.slice(WARMUP).map((step) => step[time]));
}
