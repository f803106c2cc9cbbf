/**
 * Tests that a node daemon's memory stays flat: it sends requests of random lengths, on more adapters than memory holds, and prints the
 * daemon's resident memory.
 *
 *     node bench/endurance.ts --data FOLDER [--minutes 60] [--every-ms 200] [--adapters 1000] [--base ID|FOLDER] [--threads 2]
 *
 * A request comes each `--every-ms`, of 1 to 4 texts of 1 to 256 words, each on an adapter of its own. At the end: medians of each quarter, and
 * the slope of the last three. Linux only: memory is read from /proc.
 */
import { parseArgs } from 'node:util';
import { Random } from '../gpu-node/random.ts';
import { numberOptions } from '../scripts/number-options.ts';
import { freshAdapters, openBench } from './serve/bench.ts';
import { Daemon, LITTLE_MEMORY } from './serve/daemon.ts';
import { LoadProcess } from './serve/load.ts';
import { median } from './statistics.ts';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    base: { type: 'string', default: 'minilm-l6-384' },
    minutes: { type: 'string', default: '60' },
    'every-ms': { type: 'string', default: '200' },
    adapters: { type: 'string', default: '1000' },
    threads: { type: 'string', default: '2' },
  },
});
if (!values.data) throw new Error('memory is measured under real texts: --data FOLDER');
const { data, base } = values;
const {
  minutes,
  'every-ms': everyMs,
  adapters: count,
  threads,
} = numberOptions(values, ['minutes', 'every-ms', 'adapters', 'threads']);

const MAX_ROWS = 4;
const MAX_WORDS = 256;
const CONNECTIONS = 16;
const SAMPLE_MS = 30_000;

const bench = await openBench({ data, base, threads, python: '', rounds: 1 });
const adapters = await freshAdapters(bench, count, { precision: 'int8', maxLength: MAX_WORDS });
const random = new Random(1, 'endurance');
const words = bench.texts.take(2000).flatMap(({ text }) => text.split(/\s+/));

function randomRequest(): string {
  const rows = Array.from({ length: 1 + random.below(MAX_ROWS) }, () => {
    const length = 1 + random.below(MAX_WORDS);
    const from = random.below(words.length - length);
    return {
      bundle: adapters[random.below(adapters.length)]!.bundle,
      text: words.slice(from, from + length).join(' '),
    };
  });
  return JSON.stringify({ rows, tenant: 'bench' });
}

await using daemon = await Daemon.start(bench, LITTLE_MEMORY);
await using load = await LoadProcess.start();
const { url, token } = daemon;
const started = performance.now();
const elapsed = () => (performance.now() - started) / 60_000;
const samples: { minute: number; megabytes: number }[] = [];
let requests = 0;
while (elapsed() < minutes) {
  const bodies = Array.from({ length: Math.ceil(SAMPLE_MS / everyMs) }, randomRequest);
  await load.run({ url, token, bodies, connections: CONNECTIONS, everyMs });
  requests += bodies.length;
  const { anonymous, mapped } = await daemon.memory();
  samples.push({ minute: elapsed(), megabytes: (anonymous + mapped) / 1e6 });
  console.log(
    `${elapsed().toFixed(1)} min: ${requests} requests, ${await daemon.loads()} loads, ${(anonymous / 1e6).toFixed(0)} MB private, ${(mapped / 1e6).toFixed(0)} MB of mapped files`,
  );
}
const quarter = (k: number) =>
  samples.slice(Math.floor((k * samples.length) / 4), Math.floor(((k + 1) * samples.length) / 4));
const medians = [0, 1, 2, 3].map((k) => median(quarter(k).map(({ megabytes }) => megabytes)).toFixed(0));
console.log(`\nMB, medians of the quarters: ${medians.join(', ')}`);
console.log(
  `slope of the last three: ${(60 * slope(samples.slice(Math.floor(samples.length / 4)))).toFixed(1)} MB an hour`,
);

/** Slope of the least-squares line, in MB a minute. */
function slope(points: typeof samples): number {
  const mean = (of: (point: (typeof samples)[number]) => number) =>
    points.reduce((total, point) => total + of(point), 0) / points.length;
  const [minute, size] = [mean((point) => point.minute), mean((point) => point.megabytes)];
  const spread = mean((point) => (point.minute - minute) ** 2);
  return mean((point) => (point.minute - minute) * (point.megabytes - size)) / spread;
}
