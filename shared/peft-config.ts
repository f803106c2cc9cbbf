import { z } from 'zod';
import { bitfitConfig, bitfitRequest } from './methods/bitfit.ts';
import { bottleneckConfig, bottleneckRequest } from './methods/bottleneck.ts';
import { common, MAX_SEQUENCE_LENGTH, MIN_TEXT_TOKENS, orAuto } from './methods/fields.ts';
import { fullConfig, fullRequest } from './methods/full.ts';
import { ia3Config, ia3Request } from './methods/ia3.ts';
import { loraConfig, loraRequest, qloraRequest } from './methods/lora.ts';
import { mamConfig, mamRequest } from './methods/mam.ts';
import { pTuningConfig, pTuningRequest } from './methods/p-tuning.ts';
import { prefixTuningConfig, prefixTuningRequest } from './methods/prefix-tuning.ts';
import { promptTuningConfig, promptTuningRequest } from './methods/prompt-tuning.ts';
import { roadConfig, roadRequest } from './methods/road.ts';
import { unipeltConfig, unipeltRequest } from './methods/unipelt.ts';

export type { BitfitConfig } from './methods/bitfit.ts';
export type { BottleneckConfig } from './methods/bottleneck.ts';
export * from './methods/fields.ts';
export type { FullConfig } from './methods/full.ts';
export type { Ia3Config } from './methods/ia3.ts';
export type { LoraConfig } from './methods/lora.ts';
export type { MamConfig } from './methods/mam.ts';
export type { PTuningConfig } from './methods/p-tuning.ts';
export type { PrefixTuningConfig } from './methods/prefix-tuning.ts';
export type { PromptTuningConfig } from './methods/prompt-tuning.ts';
export type { RoadConfig } from './methods/road.ts';
export type { UnipeltConfig } from './methods/unipelt.ts';

/** Every method, told apart by `type`. A new one needs a member here and below, and a row in `gpu-node/methods` and `shared/methods`. */
export const peftConfig = z.discriminatedUnion('type', [
  loraConfig,
  ia3Config,
  bitfitConfig,
  roadConfig,
  promptTuningConfig,
  pTuningConfig,
  prefixTuningConfig,
  fullConfig,
  bottleneckConfig,
  mamConfig,
  unipeltConfig,
]);
export type PeftConfig = z.infer<typeof peftConfig>;

export const hyperparameters = z.strictObject({
  epochs: z.int().min(1).max(100),
  batch_size: z.int().min(1).max(256),
  learning_rate: z.number().positive().max(1),
  max_length: z.int().min(MIN_TEXT_TOKENS).max(MAX_SEQUENCE_LENGTH),
  warmup_ratio: z.number().min(0).max(1),
  weight_decay: z.number().min(0).max(1),
  max_grad_norm: z.number().positive().max(1000),
  class_weights: z.union([z.literal('none'), z.record(z.string(), z.number().positive().max(1000))]),
});
export type Hyperparameters = z.infer<typeof hyperparameters>;

/** `"auto"` is LoRA: what docs/experiments.md has of the others does not put one above it. */
const autoRequest = z
  .strictObject({ type: z.literal('auto'), ...orAuto(common) })
  .transform((given) => loraRequest.parse({ ...given, type: 'lora' }));

/** A method in a request; `"auto"` if the request names none. The adapter shows the values chosen for `"auto"`. */
export const peftRequest = z.discriminatedUnion(
  'type',
  [
    autoRequest,
    loraRequest,
    qloraRequest,
    ia3Request,
    bitfitRequest,
    promptTuningRequest,
    pTuningRequest,
    prefixTuningRequest,
    roadRequest,
    fullRequest,
    bottleneckRequest,
    mamRequest,
    unipeltRequest,
  ],
  {
    unionFallback: true,
  },
);
export type PeftRequest = z.infer<typeof peftRequest>;

export const hyperparametersRequest = z.strictObject(orAuto(hyperparameters.shape));
export type HyperparametersRequest = z.infer<typeof hyperparametersRequest>;
