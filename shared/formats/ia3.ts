import { z } from 'zod';
import type { Ia3Config } from '../peft-config.ts';
import type { TensorEntry } from '../safetensors.ts';
import { type AdapterFormat, fail, isMeantBy, shown, type Target, tensor, tensorName } from './format.ts';

/** One linear layer whose output, or input, is multiplied by a vector. */
export interface Ia3Target extends Target {
  /** Whether it is the input, as in a feed-forward layer. */
  readonly scalesInput: boolean;
  /** [out,1] for an output, [1,in] for an input. */
  readonly vector: TensorEntry;
}

/** (IA)³ as HF PEFT writes it (peft/tuners/ia3/config.py, release 0.21). */
export const ia3Format: AdapterFormat<Ia3Config, object, Ia3Target> = {
  peftType: 'IA3',
  tensorTitle: '(IA)³ vector',
  keys: {
    init_ia3_weights: z.boolean().nullish(),
  },
  // Which vectors scale an input is seen by their shapes.
  withoutEffect: ['feedforward_modules'],
  parse: () => ({}),
  tensorName: /^base_model\.model\.(.+)\.ia3_l$/,
  describe: (module, _config, header, what) => {
    const vector = tensor(header, tensorName(module, 'ia3_l'), 2, what);
    const [rows = 0, columns = 0] = vector.shape;
    if (rows !== 1 && columns !== 1) {
      fail(what, `ia3_l of ${shown(module)} is [${vector.shape}], [out,1] or [1,in] is needed`);
    }
    return columns === 1
      ? { module, scalesInput: false, outFeatures: rows, vector }
      : { module, scalesInput: true, inFeatures: columns, vector };
  },
  tensorsOf: ({ scalesInput, vector }) => [
    {
      label: 'ia3_l',
      entry: vector,
      shape: (inFeatures, outFeatures) => (scalesInput ? [1, inFeatures] : [outFeatures, 1]),
    },
  ],
  gainsOf: ({ module, vector }, normOf) => [[`ia3_l of ${module}`, normOf(vector)]],
  methodOf: (_config, target_modules, targets) => ({
    type: 'ia3',
    target_modules,
    feedforward_modules: target_modules.filter((kind) =>
      targets.some(({ module, scalesInput }) => scalesInput && isMeantBy(kind, module)),
    ),
  }),
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
      ...(!areNamed && { target_modules: [...modules].sort() }),
    };
  },
};
