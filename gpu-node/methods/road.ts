import { AppError } from '../../shared/errors.ts';
import { type RoadTarget, roadSize } from '../../shared/methods/road.ts';
import type { RoadConfig } from '../../shared/peft-config.ts';
import { type TensorEntry, toFloat32 } from '../../shared/safetensors.ts';
import { Graph } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
import type { Architecture } from '../models/model.ts';
import type { LinearLayer } from '../models/sites.ts';
import { concat, cos, mul, neg, reshape, sin, slice, sub } from '../ops/index.ts';
import { filled } from '../parts/trainable.ts';
import { turnPlace } from '../parts/turn.ts';
import { type Vectors, vectorNumbers } from '../parts/vectors.ts';
import { KnownInputs, runOnce } from '../runtime/run-once.ts';
import { floats } from '../runtime/session.ts';
import { given, type PeftMethod } from './method.ts';
import { matchTargets } from './targets.ts';

const nameTheta = ({ name }: Pick<LinearLayer, 'name'>) => `${name}.road_theta`;
const nameAlpha = ({ name }: Pick<LinearLayer, 'name'>) => `${name}.road_alpha`;

/** PEFT's group size. */
const LARGEST_GROUP = 64;

/**
 * RoAd (Shen et al. 2024, arXiv:2409.00119) as HF PEFT defines it (peft/tuners/road/layer.py). A pair of outputs (u, v) of a layer becomes
 * (c₁u - s₁v, c₂v + s₂u) with c = alpha·cos(theta) and s = alpha·sin(theta): of one angle and scale a pair (`road_1`), of one an output (`road_2`),
 * or of one for each of the four (`road_4`). Training starts at the base model: angles are 0, scales 1.
 */
export const road: PeftMethod<'road'> = {
  resolve: ({ type, ...request }, architecture) => {
    const target_modules = given(request.target_modules, 'all-linear');
    const widths = matchTargets(target_modules, architecture.linears('cls')).map(
      (layer) => layer.outFeatures,
    );
    return {
      type,
      variant: given(request.variant, 'road_1'),
      group_size: given(request.group_size, largestGroup(widths)),
      target_modules,
    };
  },
  toShrink: { field: 'target_modules', way: 'name fewer target_modules' },
  modules: (config, architecture) => layers(config, architecture).map(({ name }) => name),
  trainables: (config, architecture) =>
    layers(config, architecture).flatMap((layer) => {
      const shape = [roadSize(config.variant, layer.outFeatures)];
      return [filled(nameTheta(layer), shape, 0), filled(nameAlpha(layer), shape, 1)];
    }),
  sites: (config, architecture, parameters) => {
    const changed = new Set(layers(config, architecture).map(({ name }) => name));
    return {
      linear: ({ layer }) => {
        if (!changed.has(layer.name)) return undefined;
        const { variant, group_size: groupSize } = config;
        const about = { variant, groupSize, outFeatures: layer.outFeatures };
        const { gain, factors } = turning(
          about,
          parameters[nameTheta(layer)]!,
          parameters[nameAlpha(layer)]!,
        );
        return { gain, turns: [{ distance: groupSize / 2, factors }] };
      },
    };
  },
  dropout: () => 0,
  plan: ({ targets }) => ({
    gain: targets.map(({ module }) => module),
    turn: targets.map(({ module, groupSize }) => turnPlace(module, groupSize / 2)),
  }),
  load: async ({ targets }, bytes, base) => {
    const graph = new Graph('turns');
    const known = new KnownInputs(graph);
    const input = (entry: TensorEntry) =>
      known.add(entry.name, entry.shape, toFloat32(bytes(entry), entry).slice());
    for (const { theta, alpha, ...target } of targets) {
      const { gain, factors } = turning(target, input(theta), input(alpha));
      graph.output(`${target.module}.growth`, sub(gain, 1));
      graph.output(`${target.module}.factors`, factors);
    }
    const outputs = await runOnce(graph, base.weightsFolder, known.feeds);
    const served = (part: 'growth' | 'factors', place: (target: RoadTarget) => string) => {
      const vectors = targets.map((target): [string, Vectors] => [
        place(target),
        { [part]: floats(outputs, `${target.module}.${part}`).slice() },
      ]);
      return vectorNumbers(new Map(vectors));
    };
    return {
      gain: served('growth', ({ module }) => module),
      turn: served('factors', ({ module, groupSize }) => turnPlace(module, groupSize / 2)),
    };
  },
};

/** The largest power of two that the widths are multiples of, as far as PEFT's own. */
function largestGroup(widths: readonly number[]): number {
  let size = LARGEST_GROUP;
  while (size > 2 && widths.some((width) => width % size !== 0)) size /= 2;
  return size;
}

function layers({ target_modules, group_size, pooling }: RoadConfig, architecture: Architecture) {
  const matched = matchTargets(target_modules, architecture.linears(pooling));
  const odd = matched.find(({ outFeatures }) => outFeatures % group_size !== 0);
  if (!odd) return matched;
  throw new AppError(
    'invalid_request',
    `group_size ${group_size}: ${odd.name} has ${odd.outFeatures} outputs, which groups of this size do not fill`,
    { param: 'method.group_size' },
  );
}

/** What a layer's outputs are multiplied by, and what the other of each pair is multiplied by before it is added, each `[out]`. */
function turning(
  { variant, groupSize, outFeatures }: Pick<RoadTarget, 'variant' | 'groupSize' | 'outFeatures'>,
  theta: Value,
  alpha: Value,
): { gain: Value; factors: Value } {
  const distance = groupSize / 2;
  const groups = outFeatures / groupSize;
  // Rows of each group: one for both halves, one a half, or two a half, those of the second pair for what is added.
  const rows = roadSize(variant, 2);
  const half = (of: Value, row: number) => slice(reshape(of, [groups, rows, distance]), 1, row, row + 1);
  const [straight, across] = [mul(alpha, cos(theta)), mul(alpha, sin(theta))];
  const lower = rows === 1 ? 0 : 1;
  const added = rows === 4 ? 2 : 0;
  const joined = (first: Value, second: Value) => reshape(concat([first, second], 1), [outFeatures]);
  return {
    gain: joined(half(straight, 0), half(straight, lower)),
    factors: joined(neg(half(across, added)), half(across, added + lower)),
  };
}
