import { z } from 'zod';
import type { TensorEntry } from '../safetensors.ts';
import { common, orAuto, targetModules } from './fields.ts';
import { type AdapterFile, type AdapterFormat, byModule, moduleKinds, tensor, tensorName } from './format.ts';
import { type LinearTarget, linearSides } from './places.ts';
import { fail, shown } from './refusal.ts';

/** Numbers that each variant has for an angle, or a scale, by output. */
const NUMBERS = { road_1: 0.5, road_2: 1, road_4: 2 } as const;
const variant = z.enum(['road_1', 'road_2', 'road_4']);
export type RoadVariant = z.infer<typeof variant>;

const groupSize = z.int().min(2).max(4096).multipleOf(2);

const fields = {
  variant,
  group_size: groupSize,
  target_modules: targetModules,
  ...common,
};

/**
 * RoAd (Shen et al. 2024, arXiv:2409.00119): the outputs of linear layers in pairs, each pair turned by a trained angle and scaled. In groups of
 * `group_size` an output of the first half is paired with the one at its place in the second.
 */
export const roadConfig = z.strictObject({ type: z.literal('road'), ...fields });
export type RoadConfig = z.infer<typeof roadConfig>;
export const roadRequest = z.strictObject({ type: z.literal('road'), ...orAuto(fields) });

/** What adapter_config.json says. */
export interface RoadFileConfig {
  readonly variant: RoadVariant;
  readonly groupSize: number;
}

/** One linear layer whose outputs are turned. */
export interface RoadTarget extends LinearTarget {
  readonly outFeatures: number;
  readonly variant: RoadVariant;
  readonly groupSize: number;
  /** Angles and scales, each [roadSize(variant, out)]. */
  readonly theta: TensorEntry;
  readonly alpha: TensorEntry;
}

/** How many angles, and as many scales, a layer of so many outputs has. */
export function roadSize(of: RoadVariant, outFeatures: number): number {
  return NUMBERS[of] * outFeatures;
}

const keys = z.object({
  variant: variant.default('road_1'),
  group_size: groupSize.default(64),
  init_weights: z.boolean().nullish(),
});

/** RoAd as HF PEFT writes it (peft/tuners/road/config.py, release 0.21). */
export const roadFormat: AdapterFormat<RoadConfig, RoadFileConfig, RoadTarget> = {
  peftType: 'ROAD',
  learningRate: 1e-2,
  ...byModule('RoAd vector', /^base_model\.model\.(.+)\.road_(?:theta|alpha)$/, describe),
  keys: keys.shape,
  withoutEffect: [],
  parse: (file) => {
    const { variant: of, group_size } = file as z.infer<typeof keys>;
    return { variant: of, groupSize: group_size };
  },
  tensorsOf: (target) =>
    (['theta', 'alpha'] as const).map((name) => ({
      label: `road_${name} of ${target.module}`,
      entry: target[name],
      needed: (base, what) => [roadSize(target.variant, linearSides(target, base, what)[1])],
    })),
  // Two numbers of at most this size meet in an output. An angle lengthens nothing, but a huge one has no cosine to speak of.
  gainsOf: ({ module, theta, alpha }, normOf) => [
    [`road_alpha of ${module}, twice,`, 2 * normOf(alpha)],
    [`road_theta of ${module}`, normOf(theta)],
  ],
  methodOf: ({ variant: of, groupSize: group_size }, targets, family) => ({
    type: 'road',
    variant: of,
    group_size,
    target_modules: moduleKinds(targets, family),
  }),
  write: ({ method: { variant: of, group_size, target_modules }, modules }) => ({
    group_size,
    init_weights: true,
    target_modules: (target_modules === 'all-linear' ? [...modules] : [...target_modules]).sort(),
    variant: of,
  }),
};

function describe(module: string, { config, header, what }: AdapterFile<RoadFileConfig>): RoadTarget {
  const theta = tensor(header, tensorName(module, 'road_theta'), 1, what);
  const alpha = tensor(header, tensorName(module, 'road_alpha'), 1, what);
  const [size = 0] = theta.shape;
  const outFeatures = size / NUMBERS[config.variant];
  if (alpha.shape[0] !== size) {
    fail(what, `road_alpha of ${shown(module)} is [${alpha.shape}], road_theta is [${theta.shape}]`);
  }
  if (outFeatures % config.groupSize !== 0) {
    const message = `${config.variant} with road_theta [${theta.shape}] has ${outFeatures} outputs, which groups of ${config.groupSize} do not fill`;
    fail(what, `${shown(module)}: ${message}`);
  }
  return { module, outFeatures, ...config, theta, alpha };
}
