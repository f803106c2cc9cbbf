import { matchTargets } from '../../gpu-node/methods/targets.ts';
import type { BaseModel } from '../../gpu-node/models/model.ts';
import type { BaseModelSource } from '../../gpu-node/models/open-base-model.ts';
import type { LinearLayer } from '../../gpu-node/models/sites.ts';
import { Random } from '../../gpu-node/random.ts';
import { adapterConfigJson } from '../../shared/adapter-config.ts';
import { classifierTensorName } from '../../shared/adapter-description.ts';
import {
  ADAPTER_CONFIG_FILE,
  ADAPTER_WEIGHTS_FILE,
  type LayoutFile,
  WEFT_FILE,
  type WeftFile,
} from '../../shared/adapter-format.ts';
import { loraTensorName, magnitudeTensorName } from '../../shared/methods/lora.ts';
import type { BasePrecision, Pooling } from '../../shared/peft-config.ts';
import { type Tensor, writeSafetensors } from '../../shared/safetensors.ts';

export interface BundleShape {
  seed: number;
  r?: number;
  labels?: number;
  pooling?: Pooling;
  targets?: string[];
  dora?: boolean;
  precision?: BasePrecision;
  maxLength?: number;
  temperature?: number;
}

/** The files of an adapter in PEFT's layout. */
export type PeftBundle = Readonly<Record<LayoutFile<'peft'>, Uint8Array<ArrayBuffer>>>;

/** The files of an adapter with random weights, large enough to move every score. */
export function randomBundle(base: BaseModel, source: BaseModelSource, shape: BundleShape): PeftBundle {
  const { seed, r = 4, labels = 3, pooling = 'mean', targets = ['query', 'value'], maxLength = 32 } = shape;
  const { temperature, dora = false, precision = 'fp32' } = shape;
  const layers = matchTargets(targets, base.architecture.linears(pooling));
  const random = new Random(seed, 'bundle');
  const draw = (...dims: number[]): Tensor => ({
    shape: dims,
    data: Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => 0.5 * random.normal()),
  });
  const tensors = ({ name, inFeatures, outFeatures }: LinearLayer) => [
    [loraTensorName(name, 'A'), draw(r, inFeatures)] as const,
    [loraTensorName(name, 'B'), draw(outFeatures, r)] as const,
    ...(dora ? [[magnitudeTensorName(name), draw(outFeatures)] as const] : []),
  ];
  const weights = writeSafetensors(
    new Map([
      ...layers.flatMap(tensors),
      [classifierTensorName('weight'), draw(labels, base.architecture.hiddenSize)],
      [classifierTensorName('bias'), draw(labels)],
    ]),
  );
  const config = adapterConfigJson({
    method: {
      type: 'lora',
      r,
      alpha: r,
      dropout: 0,
      use_rslora: false,
      use_dora: dora,
      target_modules: targets,
      pooling,
      base_precision: precision,
    },
    encoder: base.architecture,
    modules: layers.map(({ name }) => name),
    baseModel: source.id,
    revision: null,
  });
  const weft: WeftFile = {
    format: 1,
    labels: Array.from({ length: labels }, (_, i) => `label ${i}`),
    pooling,
    max_length: maxLength,
    base_model: source.id,
    base_model_sha256: source.sha256,
    base_precision: precision,
    ...(temperature !== undefined && { temperature }),
    metrics: null,
  };
  const bytes = (text: string) => new TextEncoder().encode(text);
  return {
    [ADAPTER_CONFIG_FILE]: bytes(config),
    [ADAPTER_WEIGHTS_FILE]: weights,
    [WEFT_FILE]: bytes(JSON.stringify(weft)),
  };
}
