import { Graph } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
import { encodeModel } from '../graph/onnx.ts';
import { matMul, matMulIntegerToFloat, quantizeLinear, reduceSum } from '../ops/index.ts';
import { floats, Session, tensor } from '../runtime/session.ts';
import type { Race } from './auto-precision.ts';
import { weightLevels } from './int8.ts';

/** The largest activation, unsigned 8 bits. */
const LARGEST_INPUT = 255;
const SATURATION_SIZE = 64;

/**
 * Bits of a signed weight whose products with unsigned 8 bits are exact on this CPU: 8 with VNNI or AMX, 7 if pairs of products are summed
 * in 16 bits.
 */
export async function exactWeightBits(): Promise<7 | 8> {
  return (await multipliesExactly(8)) ? 8 : 7;
}

/** True if sums of products of the largest numbers do not saturate for weights of so many bits. */
export async function multipliesExactly(bits: 7 | 8): Promise<boolean> {
  const size = SATURATION_SIZE;
  const level = weightLevels(bits);
  const graph = new Graph('saturation');
  const x = graph.input('x', 'float32', [size, size]);
  const weight = graph.constant('int8', [size, size], new Int8Array(size * size).fill(level));
  graph.output('y', product(x, weight, 1, 0));
  const session = await Session.create(encodeModel(graph), { name: 'saturation', threads: 1 });
  const largest = new Float32Array(size * size).fill(LARGEST_INPUT);
  const y = floats(await session.run({ x: tensor('float32', [size, size], largest) }), 'y');
  await session.release();
  return y.every((element) => element === size * LARGEST_INPUT * level);
}

/**
 * Shape of the timed product: that of a small encoder's attention over a batch. Copies of a larger one would stay in the process's memory.
 */
const TIMED = { rows: 1024, inner: 384, columns: 384 };

/**
 * Times a product in float32 and in 8 bits in turns until `decide` knows enough. Each runs on one thread, as lanes do, so that it waits for
 * no other thread while something else uses the cores.
 */
export async function race<T>(decide: (race: Race) => T | undefined): Promise<T> {
  const { rows, inner, columns } = TIMED;
  const weight = (graph: Graph, dtype: 'float32' | 'int8') =>
    graph.constant(dtype, [inner, columns], new Int8Array(inner * columns).fill(1));
  const builds = {
    fp32: (x: Value) => matMul(x, weight(x.graph, 'float32')),
    int8: (x: Value) => product(x, weight(x.graph, 'int8'), 1 / 127, 128),
  };
  const x = tensor('float32', [rows, inner], new Float32Array(rows * inner).fill(0.5));
  const times = { fp32: [] as number[], int8: [] as number[] };
  const sessions = await Promise.all(
    (['fp32', 'int8'] as const).map(async (kind) => {
      const graph = new Graph(kind);
      const y = builds[kind](graph.input('x', 'float32', [rows, inner]));
      graph.output('sum', reduceSum(y, [0, 1]));
      return { kind, session: await Session.create(encodeModel(graph), { name: kind, threads: 1 }) };
    }),
  );
  try {
    for (;;) {
      for (const { kind, session } of sessions) {
        const start = performance.now();
        await session.run({ x });
        times[kind].push(performance.now() - start);
      }
      const decision = decide(times);
      if (decision !== undefined) return decision;
    }
  } finally {
    for (const { session } of sessions) await session.release();
  }
}

function product(x: Value, b: Value, scale: number, zeroPoint: number): Value {
  const { graph } = x;
  const [aScale, aZeroPoint] = [graph.scalar(scale), graph.scalar(zeroPoint, 'uint8')];
  const columns = b.shape[1] as number;
  const ones = graph.constant('float32', [columns], new Float32Array(columns).fill(1));
  const zeros = graph.constant('float32', [columns], new Float32Array(columns));
  const a = quantizeLinear(x, aScale, aZeroPoint);
  return matMulIntegerToFloat({ a, aScale, aZeroPoint, b, bScale: ones, bias: zeros }, (grad) => grad);
}
