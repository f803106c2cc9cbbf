import { adapterConfigJson } from '../../../shared/adapter-config.ts';
import { classifierTensorName } from '../../../shared/adapter-description.ts';
import { loraTensorName, magnitudeTensorName } from '../../../shared/methods/lora.ts';
import { type Tensor, writeSafetensors } from '../../../shared/safetensors.ts';
import { bertOf } from '../../support/encoders.ts';

/** Width of the base model that tests' nodes have. */
export const HIDDEN = 384;

export const MODULES = [0, 5].flatMap((layer) =>
  ['query', 'value'].map((part) => `bert.encoder.layer.${layer}.attention.self.${part}`),
);

export interface WeightsShape {
  labels?: number;
  r?: number;
  hidden?: number;
  modules?: string[];
  /** Layers of the head before its last. */
  inner?: string[];
  dora?: boolean;
}

/** Weights of zeros. */
export function weightsFile({
  labels = 3,
  r = 4,
  hidden = HIDDEN,
  modules = MODULES,
  inner = [],
  dora = false,
}: WeightsShape = {}): Uint8Array<ArrayBuffer> {
  const zeros = (...shape: number[]): Tensor => ({
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b)),
  });
  const tensors = modules.flatMap((module): [string, Tensor][] => [
    [loraTensorName(module, 'A'), zeros(r, hidden)],
    [loraTensorName(module, 'B'), zeros(hidden, r)],
    ...(dora ? [[magnitudeTensorName(module), zeros(hidden)] satisfies [string, Tensor]] : []),
  ]);
  return writeSafetensors(
    new Map([
      ...tensors,
      ...inner.flatMap((layer): [string, Tensor][] => [
        [classifierTensorName('weight', layer), zeros(hidden, hidden)],
        [classifierTensorName('bias', layer), zeros(hidden)],
      ]),
      [classifierTensorName('weight'), zeros(labels, hidden)],
      [classifierTensorName('bias'), zeros(labels)],
    ]),
  );
}

export interface ConfigShape {
  baseModel: string;
  r?: number;
  dora?: boolean;
  revision?: string | null;
}

/** An adapter_config.json for such weights. */
export function configFile({ baseModel, r = 4, dora = false, revision = null }: ConfigShape): string {
  const method = {
    type: 'lora' as const,
    r,
    alpha: 8,
    dropout: 0.1,
    use_rslora: true,
    use_dora: dora,
    target_modules: ['query', 'value'],
    pooling: 'cls' as const,
    base_precision: 'fp32' as const,
  };
  return adapterConfigJson({ method, encoder: bertOf(HIDDEN), modules: MODULES, baseModel, revision });
}
