import { z } from 'zod';
import type { TensorEntry } from '../safetensors.ts';
import { common, orAuto, targetModule, targetModules } from './fields.ts';
import {
  type AdapterFile,
  type AdapterFormat,
  byModule,
  isMeantBy,
  moduleKinds,
  tensor,
  tensorName,
} from './format.ts';
import { type LinearTarget, linearSides } from './places.ts';
import { fail, shown } from './refusal.ts';

const fields = {
  target_modules: targetModules,
  feedforward_modules: z.array(targetModule).max(64),
  ...common,
};

/**
 * (IA)³ (Liu et al. 2022, arXiv:2205.05638): the outputs of `target_modules` times a trained vector, and of those that `feedforward_modules`
 * names too the inputs.
 */
export const ia3Config = z.strictObject({ type: z.literal('ia3'), ...fields });
export type Ia3Config = z.infer<typeof ia3Config>;
export const ia3Request = z.strictObject({ type: z.literal('ia3'), ...orAuto(fields) });

/** One linear layer whose output, or input, is multiplied by a vector. */
export interface Ia3Target extends LinearTarget {
  /** Whether it is the input, as in a feed-forward layer. */
  readonly scalesInput: boolean;
  /** [out,1] for an output, [1,in] for an input. */
  readonly vector: TensorEntry;
}

/** (IA)³ as HF PEFT writes it (peft/tuners/ia3/config.py, release 0.21). */
export const ia3Format: AdapterFormat<Ia3Config, object, Ia3Target> = {
  peftType: 'IA3',
  learningRate: 1e-2,
  ...byModule('(IA)³ vector', /^base_model\.model\.(.+)\.ia3_l$/, describe),
  keys: {
    init_ia3_weights: z.boolean().nullish(),
  },
  // Which vectors scale an input is seen by their shapes.
  withoutEffect: ['feedforward_modules'],
  parse: () => ({}),
  tensorsOf: (target) => [
    {
      label: `ia3_l of ${target.module}`,
      entry: target.vector,
      needed: (base, what) => {
        const [inFeatures, outFeatures] = linearSides(target, base, what);
        return target.scalesInput ? [1, inFeatures] : [outFeatures, 1];
      },
    },
  ],
  gainsOf: ({ module, vector }, normOf) => [[`ia3_l of ${module}`, normOf(vector)]],
  methodOf: (_config, targets, family) => {
    const target_modules = moduleKinds(targets, family);
    const scalesInput = (kind: string) =>
      targets.some((target) => target.scalesInput && isMeantBy(kind, target.module));
    return { type: 'ia3', target_modules, feedforward_modules: target_modules.filter(scalesInput) };
  },
  write: ({ method: { target_modules, feedforward_modules }, modules }) => {
    // PEFT wants the names of the second list to be among those of the first.
    const areNamed =
      target_modules !== 'all-linear' && feedforward_modules.every((name) => target_modules.includes(name));
    const scalesInput = (module: string) => feedforward_modules.some((name) => isMeantBy(name, module));
    return {
      exclude_modules: null,
      fan_in_fan_out: false,
      feedforward_modules: (areNamed ? [...feedforward_modules] : modules.filter(scalesInput)).sort(),
      init_ia3_weights: true,
      target_modules: areNamed ? [...target_modules].sort() : [...modules].sort(),
    };
  },
};

function describe(module: string, { header, what }: AdapterFile<object>): Ia3Target {
  const vector = tensor(header, tensorName(module, 'ia3_l'), 2, what);
  const [rows = 0, columns = 0] = vector.shape;
  if (rows !== 1 && columns !== 1) {
    fail(what, `ia3_l of ${shown(module)} is [${vector.shape}], [out,1] or [1,in] is needed`);
  }
  return columns === 1
    ? { module, scalesInput: false, outFeatures: rows, vector }
    : { module, scalesInput: true, inFeatures: columns, vector };
}
