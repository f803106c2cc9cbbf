import { Graph } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
import { elementCount } from '../graph/shapes.ts';
import type { BaseModel } from '../models/model.ts';
import { changedLinear, changedNorm, type LinearLayer, type Sites } from '../models/sites.ts';
import { expand, swapLastAxes } from '../ops/index.ts';
import { PART_NAMES, type Plan, type ServedAdapter, servingSites, stacksOf } from '../parts/index.ts';
import { moduleOf, type PartNumbers, SIZE, type Stack, stackName } from '../parts/part.ts';
import { frozenLinear } from '../precision/fp32.ts';
import { runOnce } from '../runtime/run-once.ts';
import { type Feeds, floats, tensor } from '../runtime/session.ts';

/** A linear layer's weight `[out, in]`, or a norm's `[size]`, and its bias, in transformers' form. */
export interface MergedLayer {
  /** Absent if it stays unchanged. */
  readonly weight?: Float32Array;
  readonly bias: Float32Array;
}

/** An adapter and the base model that it changes. */
export interface Merge {
  readonly plan: Plan;
  readonly adapter: ServedAdapter;
  readonly base: BaseModel;
}

/**
 * Merges a linear layer and everything that an adapter does to it into one layer: W' = diag(gain)·(W + s·B·A)·diag(reach), b' = gain⊙b +
 * shift. It applies serving's own formula to each unit vector with zero biases, and to a zero vector, so every part that serves also
 * merges.
 */
export function mergeLinear(layer: LinearLayer, merge: Merge): Promise<MergedLayer> {
  const { name, inFeatures, outFeatures } = layer;
  return compute(name, merge, (graph, sites) => {
    const frozen = merge.base.weights.linear(graph, name);
    const zeros = (...shape: number[]) => expand(graph.scalar(0), shape);
    const unbiased = frozenLinear(graph, frozen.matrix(), zeros(outFeatures));
    const units = { layer, x: graph.input('units', 'float32', [inFeatures, inFeatures]), frozen: unbiased };
    const { shift: _shift, ...linear } = sites.linear?.(units) ?? {};
    const nothing = { layer, x: zeros(1, inFeatures), frozen };
    return {
      feeds: { units: tensor('float32', [inFeatures, inFeatures], identity(inFeatures)) },
      weight: swapLastAxes(changedLinear(units, linear)),
      bias: changedLinear(nothing, sites.linear?.(nothing)),
    };
  });
}

/** Merges a norm and an adapter's change of its output, which is added to the norm's bias. */
export function mergeNorm(name: string, merge: Merge): Promise<MergedLayer> {
  return compute(name, merge, (graph, sites) => {
    const bias = merge.base.weights.plain(graph, `${name}.bias`);
    return { bias: changedNorm(bias, sites.norm?.({ name, x: bias, bias })) };
  });
}

/** Runs the graph of `build` on the numbers that an adapter has at one place. */
async function compute(
  place: string,
  { plan, adapter, base }: Merge,
  build: (graph: Graph, sites: Sites) => { feeds?: Feeds; weight?: Value; bias: Value },
): Promise<MergedLayer> {
  const { architecture, weightsFolder } = base;
  const graph = new Graph('merge');
  const here = planAt(plan, place);
  const inputs = new Map<string, Value>();
  const numbers: Record<string, Feeds[string]> = {};
  for (const [part, stacks] of stacksOf(here, architecture)) {
    for (const stack of stacks) {
      const { shape, data } = slotOf(stack, adapter[part]!);
      inputs.set(stack.name, graph.input(stack.name, 'float32', shape));
      numbers[stack.name] = tensor('float32', shape, data);
    }
  }
  const rowsOf = (of: string, tensorOf: string) => inputs.get(stackName(of, tensorOf))!;
  const { feeds = {}, weight, bias } = build(graph, servingSites(here, rowsOf, architecture));
  if (weight) graph.output('weight', weight);
  graph.output('bias', bias);
  const outputs = await runOnce(graph, weightsFolder, { ...numbers, ...feeds });
  return { ...(weight && { weight: floats(outputs, 'weight') }), bias: floats(outputs, 'bias') };
}

function planAt(plan: Plan, place: string): Plan {
  const here = PART_NAMES.map((part) => [
    part,
    (plan[part] ?? []).filter((each) => moduleOf(each) === place),
  ]);
  return Object.fromEntries(here);
}

/** One adapter's tensor of a stack. */
function slotOf(stack: Stack, numbers: PartNumbers): { shape: number[]; data: Float32Array } {
  const shape = stack.shape.map((dim) => (dim === SIZE ? numbers.size : dim));
  const data = new Float32Array(elementCount(shape));
  numbers.fill(stack, numbers.size, data);
  return { shape, data };
}

function identity(size: number): Float32Array {
  const matrix = new Float32Array(size * size);
  for (let i = 0; i < size; i++) matrix[i * (size + 1)] = 1;
  return matrix;
}
