import type { Ia3Config } from '../../shared/peft-config.ts';
import { toFloat32 } from '../../shared/safetensors.ts';
import type { Architecture } from '../models/model.ts';
import type { LinearLayer } from '../models/sites.ts';
import { reshape } from '../ops/index.ts';
import { filled } from '../parts/trainable.ts';
import { type Vectors, vectorNumbers } from '../parts/vectors.ts';
import { given, type PeftMethod } from './method.ts';
import { matchTargets } from './targets.ts';

const nameVector = ({ name }: Pick<LinearLayer, 'name'>) => `${name}.ia3_l`;

/**
 * (IA)³ (Liu et al. 2022, arXiv:2205.05638) as HF PEFT defines it (peft/tuners/ia3/layer.py): y = l⊙(Wx + b) with a vector l, or in a
 * feed-forward layer y = W(l⊙x) + b. The vectors start as ones.
 */
export const ia3: PeftMethod<'ia3'> = {
  resolve: (
    { type, ...request },
    {
      family: {
        linears: { key, value, output },
      },
    },
  ) => ({
    type,
    target_modules: given(request.target_modules, [key, value, output]),
    feedforward_modules: given(request.feedforward_modules, [output]),
  }),
  toShrink: { field: 'target_modules', way: 'name fewer target_modules' },
  modules: (config, architecture) => layers(config, architecture).map(({ name }) => name),
  trainables: (config, architecture) => {
    const scalesInput = feedForward(config, architecture);
    return layers(config, architecture).map((layer) => {
      const shape = scalesInput.has(layer.name) ? [1, layer.inFeatures] : [layer.outFeatures, 1];
      return filled(nameVector(layer), shape, 1);
    });
  },
  sites: (config, architecture, parameters) => {
    const changed = new Set(layers(config, architecture).map(({ name }) => name));
    const scalesInput = feedForward(config, architecture);
    return {
      linear: ({ layer }) => {
        if (!changed.has(layer.name)) return undefined;
        const vector = parameters[nameVector(layer)]!;
        return scalesInput.has(layer.name)
          ? { reach: reshape(vector, [layer.inFeatures]) }
          : { gain: reshape(vector, [layer.outFeatures]) };
      },
    };
  },
  dropout: () => 0,
  plan: ({ targets }) => ({
    gain: targets.flatMap(({ module, scalesInput }) => (scalesInput ? [] : [module])),
    reach: targets.flatMap(({ module, scalesInput }) => (scalesInput ? [module] : [])),
  }),
  load: async ({ targets }, bytes) => {
    const [growths, excesses] = [new Map<string, Vectors>(), new Map<string, Vectors>()];
    for (const { module, scalesInput, vector } of targets) {
      const less1 = toFloat32(bytes(vector), vector).map((each) => each - 1);
      if (scalesInput) excesses.set(module, { excess: less1 });
      else growths.set(module, { growth: less1 });
    }
    return {
      ...(growths.size > 0 && { gain: vectorNumbers(growths) }),
      ...(excesses.size > 0 && { reach: vectorNumbers(excesses) }),
    };
  },
};

function layers({ target_modules, pooling }: Ia3Config, architecture: Architecture): readonly LinearLayer[] {
  return matchTargets(target_modules, architecture.linears(pooling));
}

/** Names of the changed layers whose input is scaled. */
function feedForward(config: Ia3Config, architecture: Architecture): ReadonlySet<string> {
  const { feedforward_modules } = config;
  const named = matchTargets(feedforward_modules, layers(config, architecture), 'feedforward_modules');
  return new Set(named.map(({ name }) => name));
}
