import { describe, expect, it } from 'vitest';
import { gradients } from '../../../gpu-node/autograd/backward.ts';
import { Graph } from '../../../gpu-node/graph/builder.ts';
import { nameMagnitude, scaleToMagnitude } from '../../../gpu-node/methods/dora.ts';
import { changedLinear, type LinearLayer } from '../../../gpu-node/models/sites.ts';
import { mul, reduceSum } from '../../../gpu-node/ops/index.ts';
import { frozenLinear } from '../../../gpu-node/precision/fp32.ts';
import { Random } from '../../../gpu-node/random.ts';
import { runOnce } from '../../../gpu-node/runtime/run-once.ts';
import { floats, tensor } from '../../../gpu-node/runtime/session.ts';
import { maxDifference } from '../../support/tiny-bert.ts';

const LAYER: LinearLayer = { name: 'layer', inFeatures: 3, outFeatures: 4 };
const SCALING = 1.5;
/** 1 / (1 - p) of a dropout of a quarter. */
const SCALE = 4 / 3;
const TOKENS = 5;
const RANK = 2;

const SHAPES = {
  x: [1, TOKENS, 3],
  a: [3, RANK],
  b: [RANK, 4],
  magnitude: [4],
  weight: [3, 4],
  bias: [4],
  mask: [1, TOKENS, 3],
  /** The loss is the sum of the outputs, weighted by these. */
  probe: [1, TOKENS, 4],
} as const;
type Name = keyof typeof SHAPES;
type Numbers = Record<Name, Float64Array>;

/** Numbers that float32 holds, so that both sides compute with the same. */
function draw(): Numbers {
  const random = new Random(11, 'dora');
  const entries = Object.entries(SHAPES).map(([name, shape]) => {
    const size = shape.reduce((product: number, each) => product * each, 1);
    const next = () => (name === 'mask' ? Number(random.uniform() < 0.75) : Math.fround(random.normal()));
    return [name, Float64Array.from({ length: size }, next)];
  });
  return Object.fromEntries(entries) as Numbers;
}

/** ‖W + s·a·b‖ of each output. */
function norms({ a, b, weight }: Numbers): number[] {
  return [0, 1, 2, 3].map((out) => Math.hypot(...[0, 1, 2].map((i) => changedWeight(i, out, a, b, weight))));
}

function changedWeight(
  i: number,
  out: number,
  a: Float64Array,
  b: Float64Array,
  weight: Float64Array,
): number {
  return weight[i * 4 + out]! + SCALING * lowRank(i, out, a, b);
}

function lowRank(i: number, out: number, a: Float64Array, b: Float64Array): number {
  return [0, 1].reduce((sum, k) => sum + a[i * RANK + k]! * b[k * 4 + out]!, 0);
}

/** Wx + b + (g - 1)⊙Wx̃ + g⊙s·a·b·x̃ with g = m / `constant`, in double precision, as it stands in PEFT's dora.py. */
function reference(n: Numbers, constant: readonly number[]): number[] {
  const outputs: number[] = [];
  for (let token = 0; token < TOKENS; token++) {
    for (let out = 0; out < 4; out++) {
      const gain = n.magnitude[out]! / constant[out]!;
      let y = n.bias[out]!;
      for (let i = 0; i < 3; i++) {
        const x = n.x[token * 3 + i]!;
        const dropped = x * n.mask[token * 3 + i]! * SCALE;
        const weight = n.weight[i * 4 + out]!;
        y +=
          weight * x + (gain - 1) * weight * dropped + gain * SCALING * lowRank(i, out, n.a, n.b) * dropped;
      }
      outputs.push(y);
    }
  }
  return outputs;
}

const loss = (n: Numbers, constant: readonly number[]) =>
  reference(n, constant).reduce((sum, y, i) => sum + y * n.probe[i]!, 0);

/** The same in a graph: y, and the gradients of x, a, b and the magnitude. */
async function compute(n: Numbers) {
  const graph = new Graph('dora');
  const values = Object.fromEntries(
    Object.entries(SHAPES).map(([name, shape]) => [name, graph.input(name, 'float32', shape)]),
  ) as Record<Name, ReturnType<Graph['input']>>;
  const call = { layer: LAYER, x: values.x, frozen: frozenLinear(graph, values.weight, values.bias) };
  const lowRank = { a: values.a, b: values.b, scaling: SCALING };
  const dropped = mul(values.x, values.mask);
  const dropout = { mask: () => dropped, scale: SCALE };
  const scale = scaleToMagnitude(call, lowRank, { [nameMagnitude(LAYER)]: values.magnitude }, dropout);
  const y = changedLinear(call, { lowRank, dropout, ...scale });
  const wanted = [values.x, values.a, values.b, values.magnitude];
  const total = reduceSum(mul(y, values.probe), [0, 1, 2], { keepDims: false });
  graph.output('y', y);
  for (const [i, gradient] of gradients(total, wanted).entries()) {
    graph.output(`${wanted[i]!.name}.grad`, gradient);
  }
  const feeds = Object.entries(SHAPES).map(([name, shape]) => [
    name,
    tensor('float32', shape, Float32Array.from(n[name as Name])),
  ]);
  return runOnce(graph, '.', Object.fromEntries(feeds));
}

describe('a DoRA layer in training', () => {
  it('has dropout in both of its branches, and none in the frozen one', async () => {
    const numbers = draw();
    expect(numbers.mask.includes(0)).toBe(true);
    const outputs = await compute(numbers);
    expect(maxDifference(floats(outputs, 'y'), reference(numbers, norms(numbers)))).toBeLessThan(1e-5);
  });

  it.each(['x', 'a', 'b', 'magnitude'] as const)('has the gradient of %s, the norm held', async (name) => {
    const numbers = draw();
    const held = norms(numbers);
    const step = 1e-4;
    const expected = numbers[name].map((_, i) => {
      const moved = (by: number) => {
        const elements = numbers[name].slice();
        elements[i]! += by;
        return loss({ ...numbers, [name]: elements }, held);
      };
      return (moved(step) - moved(-step)) / (2 * step);
    });
    const outputs = await compute(numbers);
    expect(maxDifference(floats(outputs, `${name}.grad`), expected)).toBeLessThan(1e-4);
  });
});
