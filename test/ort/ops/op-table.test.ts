import { describe, expect, test } from 'vitest';
import { gradients } from '../../../gpu-node/autograd/backward.ts';
import { Graph } from '../../../gpu-node/graph/builder.ts';
import type { Dim, Sample, Shape, Value } from '../../../gpu-node/graph/ir.ts';
import { encodeModel } from '../../../gpu-node/graph/onnx.ts';
import { FLOATS, symbolsOf, termsOf } from '../../../gpu-node/graph/shapes.ts';
import { add, mul, OPS, reduceSum } from '../../../gpu-node/ops/index.ts';
import { Random } from '../../../gpu-node/random.ts';
import { type Feeds, floats, Session, type Tensor, tensor } from '../../../gpu-node/runtime/session.ts';

/** Step of the difference quotient: its fourth-order error and float32 rounding are both near 1e-5 here. */
const STEP = 0.02;
const TOLERANCE = 1e-3;

const cases = Object.entries(OPS).flatMap(([name, op]) =>
  op.samples.map((sample: Sample, i) => ({ title: `${name}: ${sample.name ?? `sample ${i}`}`, op, sample })),
);

describe('every operator', () => {
  test.each(cases)('infers the shape that the runtime gives ($title)', async ({ sample }) => {
    const { graph, results } = build(sample);
    results.forEach((value, i) => {
      graph.output(`y${i}`, value);
    });
    const session = await Session.create(encodeModel(graph), { threads: 1 });
    const outputs = await session.run(feedsOf(sample));
    await session.release();
    results.forEach((value, i) => {
      expect(outputs[`y${i}`]).toMatchObject({ dtype: value.dtype, shape: concrete(value.shape, sample) });
    });
  });

  const differentiable = cases.filter(
    ({ op, sample }) => typeof op.gradient === 'function' && hasFloats(sample),
  );
  test.each(differentiable)('has the gradient that differences give ($title)', async ({ sample }) => {
    const feeds = feedsOf(sample);
    const analytic = await analyticGradients(sample, feeds);
    const loss = await lossOf(sample);
    for (const [name, gradient] of analytic) {
      const input = feeds[name] as Tensor<'float32'>;
      expect(gradient.length).toBe(input.data.length);
      for (let i = 0; i < gradient.length; i++) {
        const numeric = await difference(loss.run, feeds, name, i);
        expect(
          Math.abs(gradient[i]! - numeric),
          `${name}[${i}]: ${gradient[i]} against ${numeric}`,
        ).toBeLessThan(TOLERANCE * Math.max(1, Math.abs(numeric)));
      }
    }
    await loss.release();
  });
});

function hasFloats(sample: Sample): boolean {
  return sample.inputs.some((input) => FLOATS.includes(input.dtype));
}

function build(sample: Sample): { graph: Graph; inputs: Value[]; results: Value[] } {
  const graph = new Graph('sample');
  const inputs = sample.inputs.map((input, i) => graph.input(`x${i}`, input.dtype, input.shape));
  return { graph, inputs, results: [sample.build(...inputs)].flat() as Value[] };
}

/** The scalar that is differentiated: every element of the results times a fixed, irregular factor. */
async function analyticGradients(sample: Sample, feeds: Feeds): Promise<[string, Float32Array][]> {
  const { graph, inputs, results } = build(sample);
  const factors: Record<string, Tensor> = {};
  const loss = results
    .map((value, i) => {
      const shape = concrete(value.shape, sample);
      factors[`factors${i}`] = tensor('float32', shape, factorsFor(count(shape)));
      const weighted = mul(value, graph.input(`factors${i}`, 'float32', value.shape));
      return reduceSum(weighted, [...shape.keys()], { keepDims: false });
    })
    .reduce((sum, part) => add(sum, part));
  const wanted = inputs.filter((input) => FLOATS.includes(input.dtype));
  gradients(loss, wanted).forEach((gradient, i) => {
    expect(gradient.shape).toEqual(wanted[i]!.shape);
    graph.output(`${wanted[i]!.name}.grad`, gradient);
  });
  const session = await Session.create(encodeModel(graph), { threads: 1 });
  const outputs = await session.run({ ...feeds, ...factors });
  await session.release();
  return wanted.map((input) => [input.name, floats(outputs, `${input.name}.grad`)]);
}

/** The same scalar, summed in double precision so that differences keep their digits. */
async function lossOf(sample: Sample) {
  const { graph, results } = build(sample);
  results.forEach((value, i) => {
    graph.output(`y${i}`, value);
  });
  const session = await Session.create(encodeModel(graph), { threads: 1 });
  const run = async (feeds: Feeds): Promise<number> => {
    const outputs = await session.run(feeds);
    return results.reduce((sum, _, i) => {
      const elements = floats(outputs, `y${i}`);
      const factors = factorsFor(elements.length);
      return elements.reduce((part, element, k) => part + element * factors[k]!, sum);
    }, 0);
  };
  return { run, release: () => session.release() };
}

/** Five-point central difference of the loss by one element of one input. */
async function difference(loss: (feeds: Feeds) => Promise<number>, feeds: Feeds, name: string, i: number) {
  const { shape, data } = feeds[name] as Tensor<'float32'>;
  const at = (offset: number) => {
    const moved = data.slice();
    moved[i]! += offset;
    return loss({ ...feeds, [name]: tensor('float32', shape, moved) });
  };
  const near = (await at(STEP)) - (await at(-STEP));
  const far = (await at(2 * STEP)) - (await at(-2 * STEP));
  return (8 * near - far) / (12 * STEP);
}

function factorsFor(length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.cos(1.7 * i + 0.3));
}

function concrete(shape: Shape, sample: Sample): number[] {
  const sizeOf = (dim: Dim): number => {
    if (typeof dim === 'number') return dim;
    return symbolsOf(dim).reduce((size, symbol) => {
      const terms = termsOf(symbol)?.map(sizeOf);
      return size * (terms ? terms.reduce((a, b) => a + b) : sample.sizes![symbol]!);
    }, Number.parseInt(dim, 10) || 1);
  };
  return shape.map(sizeOf);
}

function count(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Seeded elements, uniform in the sample's range. */
function feedsOf(sample: Sample): Feeds {
  const random = new Random(7, 'samples');
  return Object.fromEntries(
    sample.inputs.map(({ dtype, shape, range: [low, high] = [-1, 1], values }, i) => {
      const sizes = concrete(shape, sample);
      const whole = !FLOATS.includes(dtype);
      const elements =
        values ??
        Array.from({ length: count(sizes) }, () =>
          whole ? low + random.below(high - low + 1) : low + random.uniform() * (high - low),
        );
      return [`x${i}`, toTensor(dtype, sizes, elements)];
    }),
  );
}

function toTensor(
  dtype: Sample['inputs'][number]['dtype'],
  shape: number[],
  elements: readonly number[],
): Tensor {
  if (dtype === 'float32') return tensor(dtype, shape, Float32Array.from(elements));
  if (dtype === 'int32') return tensor(dtype, shape, Int32Array.from(elements));
  if (dtype === 'int64') return tensor(dtype, shape, BigInt64Array.from(elements.map(BigInt)));
  return tensor(dtype as 'bool', shape, Uint8Array.from(elements));
}
