import { isMeantByPattern, loraScaling, whereGiven } from '../../shared/methods/lora.ts';
import type { LoraConfig } from '../../shared/peft-config.ts';
import { type TensorEntry, toFloat32 } from '../../shared/safetensors.ts';
import type { Architecture } from '../models/model.ts';
import type { LinearLayer } from '../models/sites.ts';
import { swapLastAxes } from '../ops/index.ts';
import { type Factors, lowRankNumbers } from '../parts/low-rank.ts';
import { asLinear, drawn, filled, type Trainable } from '../parts/trainable.ts';
import { vectorNumbers } from '../parts/vectors.ts';
import { magnitudeTrainable, readScales, scaleToMagnitude } from './dora.ts';
import { given, type PeftMethod } from './method.ts';
import { matchTargets, noneOf } from './targets.ts';

/** Twice the rank makes adapters of twice the size, and of the same F1 (docs/experiments.md). */
const DEFAULT_RANK = 8;
/** Twice the time of query and value alone, for an F1 that is higher on three small sets of four (docs/experiments.md). */
export const DEFAULT_TARGETS = 'all-linear';

export const nameA = ({ name }: Pick<LinearLayer, 'name'>) => `${name}.lora_A.weight`;
export const nameB = ({ name }: Pick<LinearLayer, 'name'>) => `${name}.lora_B.weight`;

/**
 * LoRA (Hu et al. 2021, arXiv:2106.09685) as HF PEFT defines it: y = Wx + b + s·B·A·dropout(x) with A `[r, in]` and
 * B `[out, r]`; s = alpha / r, rank-stabilized alpha / sqrt(r) (Kalajdzievski 2023, arXiv:2312.03732). Dropout touches the
 * adapter's branch only. With `use_dora` the layer is that of `dora.ts`.
 */
export const lora: PeftMethod<'lora'> = {
  resolve: ({ type, ...request }) => {
    const r = given(request.r, DEFAULT_RANK);
    return {
      type,
      r,
      alpha: given(request.alpha, 2 * r),
      dropout: given(request.dropout, 0.1),
      use_rslora: given(request.use_rslora, false),
      use_dora: given(request.use_dora, false),
      target_modules: given(request.target_modules, DEFAULT_TARGETS),
      ...whereGiven({
        rank_pattern: given(request.rank_pattern, {}),
        alpha_pattern: given(request.alpha_pattern, {}),
      }),
    };
  },
  toShrink: { field: 'r', way: 'lower method.r, or name fewer target_modules' },
  modules: (config, architecture) => layers(config, architecture).map(({ name }) => name),
  trainables: (config, architecture) =>
    layers(config, architecture).flatMap((layer): Trainable[] => [
      ...matrices(layer, scalingOf(config, layer).r),
      ...(config.use_dora ? [magnitudeTrainable(layer)] : []),
    ]),
  sites: (config, architecture, parameters, dropout) => {
    const changed = new Set(layers(config, architecture).map(({ name }) => name));
    return {
      linear: (call) => {
        if (!changed.has(call.layer.name)) return undefined;
        const a = swapLastAxes(parameters[nameA(call.layer)]!);
        const b = swapLastAxes(parameters[nameB(call.layer)]!);
        const lowRank = { a, b, scaling: scalingOf(config, call.layer).scaling };
        const scale = config.use_dora ? scaleToMagnitude(call, lowRank, parameters, dropout) : {};
        return { lowRank, dropout, ...scale };
      },
    };
  },
  dropout: ({ dropout }) => dropout,
  plan: ({ targets }) => {
    const scaled = targets.flatMap(({ module, magnitude }) => (magnitude ? [module] : []));
    return { lowRank: targets.map(({ module }) => module), gain: scaled, shift: scaled };
  },
  load: async ({ targets }, bytes, base) => {
    const floats = (entry: TensorEntry) => toFloat32(bytes(entry), entry);
    const factors = targets.map(({ module, a, b, ...shape }): [string, Factors] => [
      module,
      { ...shape, a: () => floats(a), b: () => floats(b) },
    ]);
    const scales = await readScales(targets, floats, base);
    return {
      lowRank: lowRankNumbers(new Map(factors)),
      ...(scales.size > 0 && { gain: vectorNumbers(scales), shift: vectorNumbers(scales) }),
    };
  },
};

function layers(config: LoraConfig, architecture: Architecture): readonly LinearLayer[] {
  const matched = matchTargets(config.target_modules, architecture.linears(config.pooling));
  for (const field of ['rank_pattern', 'alpha_pattern'] as const) {
    const keys = Object.keys(config[field] ?? {});
    const unknown = keys.find((key) => !matched.some(({ name }) => isMeantByPattern(key, name)));
    if (unknown !== undefined) throw noneOf(unknown, matched, field);
  }
  return matched;
}

/** Rank and scaling of a layer, as they are served. */
function scalingOf(
  { use_rslora, rank_pattern = {}, alpha_pattern = {}, ...config }: LoraConfig,
  { name }: LinearLayer,
) {
  const { r, alpha } = config;
  return loraScaling(
    { r, alpha, rslora: use_rslora, rankPattern: rank_pattern, alphaPattern: alpha_pattern },
    name,
  );
}

/** A starts as torch's linear layers do, and B is 0, so that training starts at the base model. */
function matrices(layer: LinearLayer, r: number): Trainable[] {
  const { inFeatures, outFeatures } = layer;
  return [
    drawn(nameA(layer), [r, inFeatures], asLinear(inFeatures)),
    filled(nameB(layer), [outFeatures, r], 0),
  ];
}
