/**
 * Where the time of a training run goes: onnxruntime's own profile by operator, the rate of the products with frozen
 * weights, and beside it the machine's peak, the rate of one large product in the same process.
 *
 *     node bench/profile.ts [--base ID|FOLDER] [--precision fp32] [--runs 20] [--rows 4] [--length 64] [--threads 1] [--r 8]
 *
 * The shape is one run's: a step of 32 x 64 tokens makes eight runs of 4 x 64, each on one thread (16 of 2 x 64 in int8).
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Graph } from '../gpu-node/graph/builder.ts';
import { encodeModel } from '../gpu-node/graph/onnx.ts';
import { createLog } from '../gpu-node/log.ts';
import { encoderFeeds } from '../gpu-node/models/inputs.ts';
import { openBaseModel } from '../gpu-node/models/open-base-model.ts';
import { matMul, reduceSum } from '../gpu-node/ops/index.ts';
import { Random } from '../gpu-node/random.ts';
import { Session, tensor } from '../gpu-node/runtime/session.ts';
import { trainingGraph } from '../gpu-node/train/graph.ts';
import { initialParameters } from '../gpu-node/train/initial-parameters.ts';
import { locateBaseModel } from '../gpu-node/weights/locate-base-model.ts';
import { homeFolder } from '../scripts/home.ts';
import { basePrecision } from '../shared/peft-config.ts';
import { median, sum } from './statistics.ts';

/** Rows and columns of the product whose best rate counts as the peak. */
const PEAK_SIZE = 2048;
const LABELS = 4;

interface NodeEvent {
  readonly name: string;
  readonly cat: string;
  readonly dur: number;
  readonly args: {
    readonly op_name: string;
    /** One dtype and shape each; an operand that onnxruntime has repacked is missing. */
    readonly input_type_shape: readonly Readonly<Record<string, readonly number[]>>[];
    readonly output_type_shape: readonly Readonly<Record<string, readonly number[]>>[];
  };
}

const { values } = parseArgs({
  options: {
    base: { type: 'string', default: 'minilm-l6-384' },
    precision: { type: 'string', default: 'fp32' },
    runs: { type: 'string', default: '20' },
    rows: { type: 'string', default: '4' },
    length: { type: 'string', default: '64' },
    threads: { type: 'string', default: '1' },
    r: { type: 'string', default: '8' },
  },
});
const [runs, rows, length, threads, r] = [
  values.runs,
  values.rows,
  values.length,
  values.threads,
  values.r,
].map(Number) as [number, number, number, number, number];

const peak = await peakRate();
const nodes = await profile();
const total = sum(nodes.map(({ ms }) => ms));
const byOperator = Map.groupBy(nodes, ({ operator }) => operator);
const shares = [...byOperator].map(([operator, each]) => ({
  operator,
  count: each.length,
  ms: sum(each.map(({ ms }) => ms)),
}));
console.log(`a run of ${rows} x ${length} tokens: ${total.toFixed(1)} ms in ${nodes.length} operators`);
for (const { operator, count, ms } of shares.sort((a, b) => b.ms - a.ms)) {
  const share = (100 * ms) / total;
  if (share >= 0.5)
    console.log(`${operator.padEnd(24)} ${ms.toFixed(2).padStart(8)} ms ${share.toFixed(1)} % in ${count}`);
}
const frozen = nodes.filter(({ flop }) => flop > 0);
const rate = sum(frozen.map(({ flop }) => flop)) / sum(frozen.map(({ ms }) => ms)) / 1e6;
const share = (100 * sum(frozen.map(({ ms }) => ms))) / total;
console.log(
  `products with frozen weights: ${share.toFixed(0)} % of the time, ${rate.toFixed(0)} GFLOP/s, ${((100 * rate) / peak).toFixed(0)} % of the peak of ${peak.toFixed(0)}`,
);

/** GFLOP/s of the fastest of a few products of two large matrices. */
async function peakRate(): Promise<number> {
  const graph = new Graph('peak');
  const shape = [PEAK_SIZE, PEAK_SIZE];
  const product = matMul(graph.input('a', 'float32', shape), graph.input('b', 'float32', shape));
  graph.output('sum', reduceSum(product, [0, 1]));
  const session = await Session.create(encodeModel(graph), { threads });
  const matrix = tensor('float32', shape, new Float32Array(PEAK_SIZE ** 2).fill(1));
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 8; i++) {
    const start = performance.now();
    await session.run({ a: matrix, b: matrix });
    best = Math.min(best, performance.now() - start);
  }
  await session.release();
  return (2 * PEAK_SIZE ** 3) / best / 1e6;
}

/** Each operator of the training graph with the median of its times. */
async function profile() {
  const home = homeFolder();
  const located = await locateBaseModel(values.base, { home, log: createLog(process.stderr, true) });
  const precision = basePrecision.parse(values.precision);
  const base = await openBaseModel({ ...located, weightsFolder: `${home}/weights` }, precision);
  const task = {
    base,
    config: {
      type: 'lora' as const,
      target_modules: ['query', 'value'],
      r,
      alpha: 2 * r,
      dropout: 0,
      use_rslora: false,
      use_dora: false,
      pooling: 'mean' as const,
      base_precision: precision,
    },
    labels: LABELS,
  };
  const folder = await mkdtemp(join(tmpdir(), 'weft-profile-'));
  try {
    const session = await Session.create(encodeModel(trainingGraph(task, 1).graph), {
      threads,
      weightsFolder: base.weightsFolder,
      profilePrefix: join(folder, 'run'),
    });
    const random = new Random(1, 'profile');
    const inputIds = Int32Array.from({ length: rows * length }, () =>
      random.below(base.architecture.vocabSize),
    );
    const attentionMask = new Float32Array(rows * length).fill(1);
    const initial = await initialParameters(task, 1);
    const parameters = initial.map(({ name, shape, data }) => [name, tensor('float32', shape, data)]);
    const labels = Int32Array.from({ length: rows }, () => random.below(LABELS));
    for (let i = 0; i < runs; i++) {
      await session.run({
        ...encoderFeeds({ rows, length, inputIds, attentionMask }),
        ...Object.fromEntries(parameters),
        labels: tensor('int32', [rows], labels),
      });
    }
    await session.release();
    const [file] = await readdir(folder);
    const events = JSON.parse(await readFile(join(folder, file!), 'utf8')) as NodeEvent[];
    const kernels = events.filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'));
    return [...Map.groupBy(kernels, ({ name }) => name).values()].map((each) => ({
      operator: each[0]!.args.op_name,
      ms: median(each.map(({ dur }) => dur / 1000)),
      flop: flopOfFrozenProduct(each[0]!),
    }));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Of an fp32 product whose weight was repacked, which only a constant's is; 0 of every other operator. */
function flopOfFrozenProduct({ args }: NodeEvent): number {
  if (args.op_name !== 'Gemm' && args.op_name !== 'MatMul') return 0;
  const [x, second] = args.input_type_shape.map((each) => Object.values(each)[0]!);
  if (!x || (second && second.length > 1)) return 0;
  const columns = Object.values(args.output_type_shape[0]!)[0]!.at(-1)!;
  return 2 * x.reduce((product, size) => product * size, 1) * columns;
}
