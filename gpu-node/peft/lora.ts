import { adapterConfigJson } from '../../shared/adapter-config.ts';
import type { AdapterDescription, LoraTarget } from '../../shared/adapter-description.ts';
import type { LoraConfig } from '../../shared/peft-config.ts';
import { type TensorEntry, toFloat32 } from '../../shared/safetensors.ts';
import type { Value } from '../graph/ir.ts';
import {
  type Architecture,
  type LinearCall,
  type LinearHook,
  type LinearLayer,
  plainLinear,
} from '../models/model.ts';
import {
  asMatrix,
  gather,
  gemm,
  matMul,
  mul,
  reshape,
  squeeze,
  swapLastAxes,
  unsqueeze,
} from '../ops/index.ts';
import { fillClassifier, fillTransposed } from './classifier.ts';
import { magnitudeTrainable, withMagnitude } from './dora.ts';
import type {
  Dropout,
  Parameters,
  PeftMethod,
  ServedAdapter,
  ServingMethod,
  SlotSizes,
  Stack,
  TensorBytes,
  Trainable,
} from './method.ts';
import { matchTargets } from './targets.ts';

const nameA = ({ name }: Pick<LinearLayer, 'name'>) => `${name}.lora_A.weight`;
const nameB = ({ name }: Pick<LinearLayer, 'name'>) => `${name}.lora_B.weight`;

/**
 * LoRA (Hu et al. 2021, arXiv:2106.09685) as HF PEFT defines it: y = Wx + b + s·B·A·dropout(x) with A `[r, in]` and
 * B `[out, r]`; s = alpha / r, rank-stabilized alpha / sqrt(r) (Kalajdzievski 2023, arXiv:2312.03732). Dropout touches the
 * adapter's branch only. With `use_dora` the layer is that of `dora.ts`.
 */
export const lora: PeftMethod<LoraConfig> = {
  layers: wrappedLayers,
  trainables: (config, architecture) =>
    wrappedLayers(config, architecture).flatMap((layer): Trainable[] => [
      ...matrices(layer, config.r),
      ...(config.use_dora ? [magnitudeTrainable(layer)] : []),
    ]),
  inject,
  dropout: ({ dropout }) => dropout,
  pooling: ({ pooling }) => pooling,
  configFile: (config, architecture, baseModel, revision) =>
    adapterConfigJson({
      method: config,
      modules: wrappedLayers(config, architecture).map(({ name }) => name),
      baseModel,
      revision,
    }),
};

/** How plain LoRA adapters are served. */
export const loraServing: ServingMethod = { stacks, inject: injectBySlot, read };

function wrappedLayers(config: LoraConfig, architecture: Architecture): readonly LinearLayer[] {
  return matchTargets(config.target_modules, architecture.linears(config.pooling));
}

/** A ~ U(±1/sqrt(in)), which is PEFT's `kaiming_uniform_(a=sqrt(5))`, and B = 0, so that training starts at the base model. */
function matrices(layer: LinearLayer, r: number): Trainable[] {
  const { inFeatures, outFeatures } = layer;
  const bound = 1 / Math.sqrt(inFeatures);
  return [
    {
      name: nameA(layer),
      shape: [r, inFeatures],
      init: (random) =>
        Float32Array.from({ length: r * inFeatures }, () => bound * (2 * random.uniform() - 1)),
    },
    { name: nameB(layer), shape: [outFeatures, r], init: () => new Float32Array(outFeatures * r) },
  ];
}

function inject(
  config: LoraConfig,
  architecture: Architecture,
  parameters: Parameters,
  dropout: Dropout,
): LinearHook {
  const wrapped = new Set(wrappedLayers(config, architecture).map(({ name }) => name));
  const scaling = config.alpha / (config.use_rslora ? Math.sqrt(config.r) : config.r);
  return (call) => {
    if (!wrapped.has(call.layer.name)) return plainLinear(call);
    const a = swapLastAxes(parameters[nameA(call.layer)]!);
    const b = swapLastAxes(parameters[nameB(call.layer)]!);
    if (config.use_dora) return withMagnitude(call, { a, b, scaling }, parameters, dropout);
    const low = mul(matMul(asMatrix(dropout.mask(call.x)), a), dropout.scale * scaling);
    const plain = plainLinear(call);
    return reshape(gemm(low, b, asMatrix(plain)), plain.shape);
  };
}

/** A transposed to `[in, rank]`, and s·B transposed to `[rank, out]`; ranks below the stack's are padded with zeros. */
function stacks(layers: readonly LinearLayer[]): readonly Stack[] {
  return layers.flatMap((layer): Stack[] => [
    { name: nameA(layer), shape: [layer.inFeatures, 'rank'] },
    { name: nameB(layer), shape: ['rank', layer.outFeatures] },
  ]);
}

function injectBySlot(layers: readonly LinearLayer[], stacked: Parameters, slots: Value): LinearHook {
  const wrapped = new Set(layers.map(({ name }) => name));
  return (call) => {
    if (!wrapped.has(call.layer.name)) return plainLinear(call);
    const a = gather(stacked[nameA(call.layer)]!, slots);
    const b = gather(stacked[nameB(call.layer)]!, slots);
    return changedByRow(call, a, b);
  };
}

/** Wx + b and what each row's adapter adds, from `a` `[batch, in, rank]` and `b` `[batch, rank, out]`. */
function changedByRow({ x, frozen }: LinearCall, a: Value, b: Value): Value {
  if (x.shape.length === 3) return frozen.applyWithChange(x, matMul(x, a), b);
  const rows = unsqueeze(x, [1]);
  return squeeze(frozen.applyWithChange(rows, matMul(rows, a), b), [1]);
}

/** Holds nothing beside the file's bytes: they are turned into what a slot takes when they get one. */
async function read(description: AdapterDescription, bytes: TensorBytes): Promise<ServedAdapter> {
  const floats = (entry: TensorEntry) => toFloat32(bytes(entry), entry);
  const { targets, classifier } = description;
  const byStack = new Map(
    targets.flatMap((target) => {
      const layer = { name: target.module };
      return [nameA(layer), nameB(layer)].map((stack) => [stack, target] as const);
    }),
  );
  const sizes = { rank: Math.max(...targets.map(({ r }) => r)), labels: classifier.labels };
  return {
    sizes,
    fill: (stack, stackSizes, slot) => {
      const layer = byStack.get(stack.name);
      if (layer) fillMatrix(stack, layer, floats, stackSizes, slot);
      else fillClassifier(classifier, floats, stack, stackSizes, slot);
    },
  };
}

function fillMatrix(
  stack: Stack,
  { r, inFeatures, outFeatures, scaling, a, b }: LoraTarget,
  floats: (entry: TensorEntry) => Float32Array,
  sizes: SlotSizes,
  slot: Float32Array,
): void {
  if (stack.shape[0] === 'rank') fillTransposed(floats(b), r, outFeatures, slot, scaling);
  else fillTransposed(floats(a), inFeatures, sizes.rank, slot);
}
