/**
 * Times single classifications alone, and beside training jobs of several priorities and numbers of threads, through all of the node's
 * serving but its HTTP.
 *
 *     node bench/beside-training.ts [--seconds 10] [--threads 2] [--trainers 10x2,19x2,0x2]
 *
 * `--trainers` lists the training processes to compare, each as its niceness and its number of threads.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createLog } from '../gpu-node/log.ts';
import { type BaseModelSource, openBaseModel } from '../gpu-node/models/open-base-model.ts';
import { Random } from '../gpu-node/random.ts';
import { Classifier } from '../gpu-node/serve/classifier.ts';
import { type FromTrainer, fromTrainer, type TrainingSpec } from '../gpu-node/train/protocol.ts';
import { bundleId } from '../gpu-node/weights/bundle-files.ts';
import { locateBaseModel } from '../gpu-node/weights/locate-base-model.ts';
import { homeFolder } from '../scripts/home.ts';
import { hyperparametersRequest, peftRequest } from '../shared/peft-config.ts';
import { randomBundle } from '../test/support/bundles.ts';
import { quantile } from './statistics.ts';

const TRAINER = new URL('../gpu-node/train/main.ts', import.meta.url);
/**
 * Mean pause between two calls in milliseconds. Pauses are random up to twice this, so that calls meet the training at any point of its
 * steps.
 */
const PAUSE_MS = 15;
const WORDS = 'the of market game season bank team oil win prices report after first world new year'.split(
  ' ',
);

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    threads: { type: 'string', default: '2' },
    trainers: { type: 'string', default: '10x2,19x2,0x2' },
  },
});
const random = new Random(1, 'beside training');
const log = createLog(process.stderr, true);
const home = homeFolder();
const located = await locateBaseModel('minilm-l6-384', { home, log });
const source: BaseModelSource = { ...located, weightsFolder: join(home, 'weights') };
const folder = await mkdtemp(join(tmpdir(), 'weft-beside-'));
const files = randomBundle(await openBaseModel(source), source, { seed: 1, maxLength: 128 });
const bundle = bundleId(files);
const classifier = await openClassifier();
await time(1);
report('calm', await time(Number(values.seconds)));
for (const trainer of values.trainers.split(',')) {
  const [niceness, threads] = trainer.split('x').map(Number) as [number, number];
  const { child, tokensPerSecond } = await startTraining(niceness, threads);
  const times = await time(Number(values.seconds));
  report(`nice ${niceness}, ${threads} threads`, times, tokensPerSecond());
  child.kill('SIGKILL');
  await once(child, 'exit');
}
await classifier.stop();
await rm(folder, { recursive: true });

async function openClassifier(): Promise<Classifier> {
  const cache = {
    folder: join(folder, 'cache'),
    maxBytes: 2 ** 30,
    source: {
      downloadAdapter: async (_bundle: string, to: string) => {
        for (const [name, bytes] of Object.entries(files)) await writeFile(join(to, name), bytes);
      },
    },
  };
  const threads = Number(values.threads);
  const limits = {
    slots: 8,
    batchTokens: 4096,
    queueTokens: 2 ** 20,
    memoryBytes: 2 ** 28,
    sessionBytes: 2 ** 30,
  };
  return Classifier.open({ bases: [source], cache, device: 'cpu', threads, ...limits, log });
}

function text(words: number): string {
  return Array.from({ length: words }, () => WORDS[random.below(WORDS.length)]).join(' ');
}

/** Milliseconds of each of the calls made one after another for so many seconds. */
async function time(seconds: number): Promise<number[]> {
  const times: number[] = [];
  const end = performance.now() + 1000 * seconds;
  while (performance.now() < end) {
    const rows = [{ bundle, text: text(20) }];
    const start = performance.now();
    await classifier.classify({ rows }, new AbortController().signal);
    times.push(performance.now() - start);
    await sleep(2 * PAUSE_MS * random.uniform());
  }
  return times;
}

/** Starts a training; resolves once it makes steps. */
async function startTraining(niceness: number, threads: number) {
  const training_file = join(folder, 'train.jsonl');
  const examples = Array.from({ length: 4000 }, (_, i) => ({ text: text(40), label: `label ${i % 4}` }));
  await writeFile(training_file, examples.map((example) => JSON.stringify(example)).join('\n'));
  const { id, sha256, weightsFolder } = source;
  const spec: TrainingSpec = {
    base_model: { id, folder: source.folder, sha256, weights_folder: weightsFolder },
    training_file,
    validation_file: null,
    validation_split: 0,
    aims: { effort: 'fast', metric: 'auto' },
    method: peftRequest.parse({ type: 'lora', base_precision: 'fp32' }),
    hyperparameters: hyperparametersRequest.parse({ epochs: 100 }),
    auto_precision: 'fp32',
    resolved: null,
    seed: 1,
    output_folder: await mkdtemp(join(folder, 'job-')),
    device: 'cpu',
    threads,
  };
  const child: ChildProcess = fork(TRAINER, { execArgv: [] });
  await once(child, 'spawn');
  setPriority(child.pid!, niceness);
  child.send({ type: 'start', spec });
  let last: Extract<FromTrainer, { type: 'progress' }> | undefined;
  await new Promise<void>((resolve) => {
    child.on('message', (raw) => {
      const message = fromTrainer.parse(raw);
      if (message.type !== 'progress') return;
      last = message;
      if (message.progress.step >= 5) resolve();
    });
  });
  return { child, tokensPerSecond: () => last!.progress.tokens_per_second };
}

function report(name: string, times: readonly number[], trained?: number): void {
  const [p50, p90, p99] = [0.5, 0.9, 0.99].map((fraction) => quantile(times, fraction).toFixed(1));
  const training = trained === undefined ? '' : `, trains ${Math.round(trained)} tokens/s`;
  console.log(`${name.padEnd(20)} ${times.length} calls: p50 ${p50} ms, p90 ${p90}, p99 ${p99}${training}`);
}
