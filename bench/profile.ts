/**
 * Profiles a run of training or of serving: onnxruntime's own times by operator, the rate of the products with frozen float32 weights, and
 * the machine's peak, which is the rate of one large product in the same process.
 *
 *     node bench/profile.ts [--serving] [--base ID|FOLDER] [--precision fp32] [--runs 20] [--rows 4] [--length 64] [--threads 1] [--r 8]
 *                           [--targets query,value|all-linear]
 *
 * The shape is one run's: a training step of 32 x 64 tokens makes eight runs of 4 x 64, each on one thread (16 of 2 x 64 in int8). Each
 * served row has an adapter of its own.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Graph } from '../gpu-node/graph/builder.ts';
import { encodeModel } from '../gpu-node/graph/onnx.ts';
import { createLog } from '../gpu-node/log.ts';
import { matchTargets } from '../gpu-node/methods/targets.ts';
import { encoderFeeds } from '../gpu-node/models/inputs.ts';
import type { BaseModel } from '../gpu-node/models/model.ts';
import { openBaseModel } from '../gpu-node/models/open-base-model.ts';
import { matMul, reduceSum } from '../gpu-node/ops/index.ts';
import { Random } from '../gpu-node/random.ts';
import { type Feeds, Session, tensor } from '../gpu-node/runtime/session.ts';
import { servingGraph } from '../gpu-node/serve/forward.ts';
import { StackTable } from '../gpu-node/serve/stack-table.ts';
import { trainingGraph } from '../gpu-node/train/graph.ts';
import { initialParameters } from '../gpu-node/train/initial-parameters.ts';
import { locateBaseModel } from '../gpu-node/weights/locate-base-model.ts';
import { homeFolder } from '../scripts/home.ts';
import { numberOptions } from '../scripts/number-options.ts';
import { type BasePrecision, basePrecision } from '../shared/peft-config.ts';
import { median, sum } from './statistics.ts';

/** Rows and columns of the product whose best rate counts as the peak. */
const PEAK_SIZE = 2048;
const LABELS = 4;
/** Adapters that a served run might mix. */
const SLOTS = 64;

interface NodeEvent {
  readonly name: string;
  readonly cat: string;
  readonly dur: number;
  readonly args: {
    readonly op_name: string;
    /** One entry per operand: its dtype and shape. Operands that onnxruntime has repacked are missing. */
    readonly input_type_shape: readonly Readonly<Record<string, readonly number[]>>[];
    readonly output_type_shape: readonly Readonly<Record<string, readonly number[]>>[];
  };
}

const { values } = parseArgs({
  options: {
    serving: { type: 'boolean', default: false },
    base: { type: 'string', default: 'minilm-l6-384' },
    precision: { type: 'string', default: 'fp32' },
    runs: { type: 'string', default: '20' },
    rows: { type: 'string', default: '4' },
    length: { type: 'string', default: '64' },
    threads: { type: 'string', default: '1' },
    r: { type: 'string', default: '8' },
    targets: { type: 'string', default: 'query,value' },
  },
});
const { runs, rows, length, threads, r } = numberOptions(values, ['runs', 'rows', 'length', 'threads', 'r']);

const targets = values.targets === 'all-linear' ? ('all-linear' as const) : values.targets.split(',');
const random = new Random(1, 'profile');
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
if (frozen.length > 0) {
  console.log(
    `products with frozen float32 weights: ${share.toFixed(0)} % of the time, ${rate.toFixed(0)} GFLOP/s, ${((100 * rate) / peak).toFixed(0)} % of the peak of ${peak.toFixed(0)}`,
  );
}

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

/** Returns each operator of a run with the median of its times. */
async function profile() {
  const home = homeFolder();
  const located = await locateBaseModel(values.base, { home, log: createLog(process.stderr, true) });
  const precision = basePrecision.parse(values.precision);
  const base = await openBaseModel({ ...located, weightsFolder: `${home}/weights` }, precision);
  const { graph, feeds } = values.serving ? serving(base) : await training(base, precision);
  const folder = await mkdtemp(join(tmpdir(), 'weft-profile-'));
  try {
    const session = await Session.create(encodeModel(graph), {
      threads,
      weightsFolder: base.weightsFolder,
      profilePrefix: join(folder, 'run'),
    });
    for (let i = 0; i < runs; i++) await session.run({ ...randomTexts(base), ...feeds });
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

function randomTexts({ architecture }: BaseModel): Feeds {
  const inputIds = Int32Array.from({ length: rows * length }, () => random.below(architecture.vocabSize));
  const attentionMask = new Float32Array(rows * length).fill(1);
  return encoderFeeds({ rows, length, inputIds, attentionMask });
}

async function training(base: BaseModel, precision: BasePrecision): Promise<{ graph: Graph; feeds: Feeds }> {
  const task = {
    base,
    config: {
      type: 'lora' as const,
      target_modules: targets,
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
  const initial = await initialParameters(task, 1);
  const parameters = initial.map(({ name, shape, data }) => [name, tensor('float32', shape, data)]);
  const labels = Int32Array.from({ length: rows }, () => random.below(LABELS));
  const feeds = { ...Object.fromEntries(parameters), labels: tensor('int32', [rows], labels) };
  return { graph: trainingGraph(task, 1).graph, feeds };
}

/** Makes a serving graph with adapters of zeros, which take as long as any. */
function serving(base: BaseModel): { graph: Graph; feeds: Feeds } {
  const layers = matchTargets(targets, base.architecture.linears('mean'));
  const { graph, stacks } = servingGraph(base, { lowRank: layers.map(({ name }) => name) });
  const slots = Int32Array.from({ length: rows }, (_, row) => 1 + (row % SLOTS));
  const feeds: Record<string, Feeds[string]> = {};
  for (const [part, each] of stacks) {
    Object.assign(feeds, new StackTable(each, part === 'head' ? LABELS : r, SLOTS).feeds);
    feeds[`slots.${part}`] = tensor('int32', [rows], slots);
  }
  if (base.poolings.includes('cls')) feeds.uses_cls = tensor('bool', [rows], new Uint8Array(rows));
  return { graph, feeds };
}

/**
 * Operations of an fp32 product with a repacked weight; 0 for every other operator. onnxruntime repacks only constants, so the weight is
 * missing from its operands.
 */
function flopOfFrozenProduct({ args }: NodeEvent): number {
  const operands = { Gemm: 3, MatMul: 2 }[args.op_name] ?? 0;
  if (args.input_type_shape.length >= operands) return 0;
  const x = Object.values(args.input_type_shape[0]!)[0]!;
  const columns = Object.values(args.output_type_shape[0]!)[0]!.at(-1)!;
  return 2 * x.reduce((product, size) => product * size, 1) * columns;
}
