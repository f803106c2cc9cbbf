/**
 * Trains each method with Weft and with the library that has it in turn, a row a method: a step's time and the memory of both. All fields
 * are `"auto"`'s, on the same base model, first weights, optimizer and batches of random tokens, without dropout in the adapter.
 *
 *     WEFT_PYTHON=.venv/bin/python node bench/train-methods.ts [--only lora,dora] [--base ID|FOLDER] [--steps 10] [--rows 32]
 *                                                             [--length 64] [--threads 2] [--adapterhub-python PATH]
 *
 * The library runs as its users run it, in fp32: HF PEFT, for bottlenecks and unions AdapterHub's, which needs a Python of its own
 * (scripts/fixtures/adapterhub-requirements.txt). Once more it runs without the base model's dropout, where it does Weft's work exactly and must
 * give the same losses.
 */
import { cpus, loadavg, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import type { z } from 'zod';
import { createLog } from '../gpu-node/log.ts';
import { outlineBaseModel } from '../gpu-node/models/open-base-model.ts';
import { resolveMethod } from '../gpu-node/train/auto.ts';
import type { TrainingExample } from '../gpu-node/train/parts.ts';
import { locateBaseModel } from '../gpu-node/weights/locate-base-model.ts';
import { homeFolder } from '../scripts/home.ts';
import { numberOptions } from '../scripts/number-options.ts';
import { formatOf } from '../shared/methods/index.ts';
import { type PeftConfig, peftRequest } from '../shared/peft-config.ts';
import { randomBatches } from './batches.ts';
import { median } from './statistics.ts';
import { type Step, TrainerProcess, type TrainerSetup } from './trainer-process.ts';

const METHODS: Readonly<Record<string, z.input<typeof peftRequest>>> = {
  lora: { type: 'lora', dropout: 0 },
  dora: { type: 'lora', dropout: 0, use_dora: true },
  ia3: { type: 'ia3' },
  bitfit: { type: 'bitfit' },
  road: { type: 'road' },
  bottleneck: { type: 'bottleneck' },
  mam: { type: 'mam' },
  unipelt: { type: 'unipelt' },
  prefix_tuning: { type: 'prefix_tuning' },
  prompt_tuning: { type: 'prompt_tuning' },
  p_tuning: { type: 'p_tuning' },
};
/** Uncounted steps at the start of each side, which allocate. */
const WARMUP = 2;
const AIM = 1.3;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(METHODS).join() },
    base: { type: 'string', default: 'minilm-l6-384' },
    steps: { type: 'string', default: '10' },
    rows: { type: 'string', default: '32' },
    length: { type: 'string', default: '64' },
    threads: { type: 'string', default: '2' },
    python: { type: 'string', default: process.env.WEFT_PYTHON ?? 'python3' },
    'adapterhub-python': { type: 'string', default: process.env.WEFT_ADAPTERHUB_PYTHON },
  },
});
const only = values.only.split(',');
const unknown = only.find((name) => !(name in METHODS));
if (unknown !== undefined)
  throw new Error(`there is no method ${unknown}; there is ${Object.keys(METHODS).join(', ')}`);
const { steps, rows, length, threads } = numberOptions(values, ['steps', 'rows', 'length', 'threads']);

interface Side {
  readonly trainer: TrainerProcess;
  readonly steps: Step[];
}

const home = homeFolder();
const located = await locateBaseModel(values.base, { home, log: createLog(process.stderr, true) });
const source = { ...located, weightsFolder: `${home}/weights` };
const { architecture } = await outlineBaseModel(source);
const { batches, labels } = randomBatches(architecture.vocabSize, { count: steps + WARMUP, rows, length });
const versions = new Set<string>();

console.log(
  `machine   ${cpus()[0]?.model}, ${cpus().length} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
);
console.log(
  `shape     ${located.id}, ${rows} x ${length} random tokens, fp32, ${threads} threads, ${steps} steps of each side in turn`,
);
console.log('times are medians, the shortest in brackets; a ratio above 1 says that Weft is faster\n');
console.log(
  '| method | Weft, ms a step | peer, ms a step | ratio | by processor time | equal work | MiB, Weft | MiB, peer | losses differ | load |',
);
console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |');
for (const name of only) console.log(`| ${[name, ...(await measure(METHODS[name]!))].join(' | ')} |`);
for (const each of versions) console.log(`versions  ${each}`);

/** The cells of a method's row. */
async function measure(request: z.input<typeof peftRequest>): Promise<string[]> {
  const config = configOf(request);
  const setup: TrainerSetup = {
    base: source,
    config,
    threads,
    labels,
    learningRate: 5e-4,
    clip: 1,
    baseDropout: true,
  };
  const ours = await start('weft', process.execPath, setup);
  const sides = [ours];
  const { layout } = formatOf(config.type);
  const python = layout === 'adapterhub' ? values['adapterhub-python'] : values.python;
  if (python !== undefined) {
    const peer: TrainerSetup = { ...setup, precision: 'fp32', parameters: ours.trainer.parameters! };
    for (const baseDropout of [true, false])
      sides.push(await start('torch', python, { ...peer, baseDropout }));
  }
  for (const [i, batch] of batches.entries()) {
    for (const side of i % 2 ? sides : sides.toReversed()) await step(side, batch);
  }
  const peaks: number[] = [];
  for (const { trainer } of sides) {
    versions.add(trainer.versions);
    peaks.push(await trainer.stop());
  }
  const [, usual, equal] = sides;
  const load = loadavg()[0]!.toFixed(1);
  if (!usual || !equal) return [times(ours), '', '', '', '', peaks[0]!.toFixed(0), '', '', load];
  const ratio = timesAsFast(ours, usual, 'ms');
  return [
    times(ours),
    times(usual),
    `${ratio.toFixed(2)}${ratio < AIM ? ` (below ${AIM})` : ''}`,
    timesAsFast(ours, usual, 'cpuMs').toFixed(2),
    timesAsFast(ours, equal, 'ms').toFixed(2),
    peaks[0]!.toFixed(0),
    peaks[1]!.toFixed(0),
    Math.max(...ours.steps.map(({ loss }, i) => Math.abs(loss / equal.steps[i]!.loss - 1))).toExponential(0),
    load,
  ];
}

/** A method as `"auto"` makes it, on an fp32 base. */
function configOf(request: z.input<typeof peftRequest>): PeftConfig {
  const facts = { lengths: [], architecture, poolings: ['mean' as const], fastestPrecision: 'fp32' as const };
  return resolveMethod(peftRequest.parse(request), facts);
}

async function start(kind: 'weft' | 'torch', python: string, setup: TrainerSetup): Promise<Side> {
  return { trainer: await TrainerProcess.start(kind, python, setup), steps: [] };
}

async function step({ trainer, steps }: Side, batch: readonly TrainingExample[]): Promise<void> {
  steps.push(await trainer.step(batch));
}

function times(side: Side): string {
  const ms = counted(side).map((each) => each.ms);
  return `${median(ms).toFixed(0)} (${Math.min(...ms).toFixed(0)})`;
}

/** How many times as fast one is as the other: the median of the turns. */
function timesAsFast(one: Side, other: Side, time: 'ms' | 'cpuMs'): number {
  const others = counted(other);
  return median(counted(one).map((each, i) => others[i]![time] / each[time]));
}

function counted({ steps }: Side): readonly Step[] {
  return steps.slice(WARMUP);
}
