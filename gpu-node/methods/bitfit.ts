import { isInSubset, wrappedBias, wrappedModule } from '../../shared/methods/bitfit.ts';
import type { BitfitConfig } from '../../shared/peft-config.ts';
import { toFloat32 } from '../../shared/safetensors.ts';
import { Graph } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
import type { Architecture, BaseModel } from '../models/model.ts';
import type { LinearLayer } from '../models/sites.ts';
import { add, sub } from '../ops/index.ts';
import type { Parameters } from '../parts/part.ts';
import type { Trainable } from '../parts/trainable.ts';
import { type Vectors, vectorNumbers } from '../parts/vectors.ts';
import type { BaseWeights } from '../precision/precision.ts';
import { runOnce } from '../runtime/run-once.ts';
import { floats } from '../runtime/session.ts';
import { given, type PeftMethod } from './method.ts';

const nameBias = (module: string) => `${module}.bias`;

/**
 * BitFit (Ben Zaken et al. 2022, arXiv:2106.10199): y = Wx + b' with a trained bias b' that starts as the base model's, in linear layers and norms.
 * What is computed with is the shift b' - b, so that the base model stays as it is.
 */
export const bitfit: PeftMethod<'bitfit'> = {
  resolve: ({ type, biases }) => ({ type, biases: given(biases, 'all') }),
  toShrink: { field: 'biases', way: 'choose method.biases query_and_intermediate' },
  modules: (config, architecture) => [
    ...linears(config, architecture).map(({ name }) => name),
    ...norms(config, architecture),
  ],
  trainables: (config, architecture) => [
    ...linears(config, architecture).map(
      ({ name, outFeatures }): Trainable => ({
        name: nameBias(name),
        shape: [outFeatures],
        derive: (graph, { weights }) => add(weights.linear(graph, name).bias, 0),
      }),
    ),
    ...norms(config, architecture).map(
      (name): Trainable => ({
        name: nameBias(name),
        shape: [architecture.hiddenSize],
        derive: (graph, { weights }) => add(weights.plain(graph, nameBias(name)), 0),
      }),
    ),
  ],
  sites: (_config, _architecture, parameters) => {
    const shift = (name: string, frozen: Value) => {
      const trained = parameters[nameBias(name)];
      return trained && { shift: sub(trained, frozen) };
    };
    return {
      linear: ({ layer, frozen }) => shift(layer.name, frozen.bias),
      norm: ({ name, bias }) => shift(name, bias),
    };
  },
  dropout: () => 0,
  saved: (config, architecture, parameters) => savedInPeftsForm(config, architecture, parameters),
  plan: ({ targets }) => ({
    shift: targets.flatMap(({ module, isNorm }) => (isNorm ? [] : [module])),
    normShift: targets.flatMap(({ module, isNorm }) => (isNorm ? [module] : [])),
  }),
  load: async ({ targets }, bytes, base) => {
    const frozen = await frozenBiases(base);
    const [shifts, normShifts] = [new Map<string, Vectors>(), new Map<string, Vectors>()];
    for (const { module, isNorm, bias } of targets) {
      const before = frozen.get(module);
      // The pooler's, which not every base model has.
      if (!before) continue;
      const shift = toFloat32(bytes(bias), bias).map((each, i) => each - before[i]!);
      (isNorm ? normShifts : shifts).set(module, { shift });
    }
    return {
      ...(shifts.size > 0 && { shift: vectorNumbers(shifts) }),
      ...(normShifts.size > 0 && { normShift: vectorNumbers(normShifts) }),
    };
  },
};

function linears({ biases, pooling }: BitfitConfig, architecture: Architecture): readonly LinearLayer[] {
  const all = architecture.linears(pooling);
  return biases === 'all' ? all : all.filter(({ name }) => isInSubset(architecture.family, name));
}

function norms({ biases }: BitfitConfig, architecture: Architecture): readonly string[] {
  return biases === 'all' ? architecture.norms : [];
}

/** The biases as PEFT names them, and of the layer that it wraps matrices of zeros. */
function savedInPeftsForm(
  config: BitfitConfig,
  architecture: Architecture,
  parameters: Parameters,
): Parameters {
  const layers = linears(config, architecture);
  const wrapped = wrappedModule(layers.map(({ name }) => name));
  const { inFeatures, outFeatures } = layers.find(({ name }) => name === wrapped)!;
  const { [nameBias(wrapped)]: bias, ...others } = parameters;
  const { graph } = bias!;
  return {
    ...others,
    [wrappedBias(wrapped)]: bias!,
    [`${wrapped}.lora_A.weight`]: graph.constant('float32', [1, inFeatures], new Float32Array(inFeatures)),
    [`${wrapped}.lora_B.weight`]: graph.constant('float32', [outFeatures, 1], new Float32Array(outFeatures)),
  };
}

const frozenBiasesOf = new WeakMap<BaseWeights, Promise<ReadonlyMap<string, Float32Array>>>();

/** The base model's own biases by module, which each adapter's are compared with: read once. */
function frozenBiases({ architecture, weights, weightsFolder, poolings }: BaseModel) {
  const known = frozenBiasesOf.get(weights);
  if (known) return known;
  const graph = new Graph('biases');
  const pooling = poolings.includes('cls') ? 'cls' : 'mean';
  for (const { name } of architecture.linears(pooling)) {
    graph.output(name, add(weights.linear(graph, name).bias, 0));
  }
  for (const name of architecture.norms) graph.output(name, add(weights.plain(graph, nameBias(name)), 0));
  const biases = runOnce(graph, weightsFolder).then(
    (outputs) => new Map([...graph.outputs.keys()].map((name) => [name, floats(outputs, name).slice()])),
  );
  frozenBiasesOf.set(weights, biases);
  return biases;
}
