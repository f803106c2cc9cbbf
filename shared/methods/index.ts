import type { PeftConfig } from '../peft-config.ts';
import { type BiasTarget, bitfitFormat } from './bitfit.ts';
import type { AdapterFormat, ConfigInput } from './format.ts';
import { type FullTarget, fullFormat } from './full.ts';
import { type Ia3Target, ia3Format } from './ia3.ts';
import { type LoraFileConfig, type LoraTarget, loraFormat } from './lora.ts';
import { type PTuningFileConfig, pTuningFormat } from './p-tuning.ts';
import { type PrefixFileConfig, prefixTuningFormat } from './prefix-tuning.ts';
import type { PromptTarget } from './prompt-format.ts';
import { type PromptTuningFileConfig, promptTuningFormat } from './prompt-tuning.ts';
import { type RoadFileConfig, type RoadTarget, roadFormat } from './road.ts';

/** What the files of each method say, by its `type`: of adapter_config.json, and of one place that they change. */
interface Files {
  lora: { config: LoraFileConfig; target: LoraTarget };
  ia3: { config: object; target: Ia3Target };
  bitfit: { config: object; target: BiasTarget };
  prompt_tuning: { config: PromptTuningFileConfig; target: PromptTarget };
  p_tuning: { config: PTuningFileConfig; target: PromptTarget };
  prefix_tuning: { config: PrefixFileConfig; target: PromptTarget };
  road: { config: RoadFileConfig; target: RoadTarget };
  full: { config: object; target: FullTarget };
}
export type MethodType = PeftConfig['type'];
export type FileConfig<M extends MethodType> = Files[M]['config'];
export type TargetOf<M extends MethodType> = Files[M]['target'];
export type ConfigOf<M extends MethodType> = Extract<PeftConfig, { type: M }>;

/** How the adapters of each method are kept. */
const FORMATS: {
  readonly [M in MethodType]: AdapterFormat<ConfigOf<M>, FileConfig<M>, TargetOf<M>>;
} = {
  lora: loraFormat,
  ia3: ia3Format,
  bitfit: bitfitFormat,
  road: roadFormat,
  prompt_tuning: promptTuningFormat,
  p_tuning: pTuningFormat,
  prefix_tuning: prefixTuningFormat,
  full: fullFormat,
};

export const METHOD_TYPES = Object.keys(FORMATS) as MethodType[];

/** A format as those use it who know nothing of its method. */
type AnyFormat = AdapterFormat<PeftConfig, unknown, unknown>;

/** The `peft_type`s that there are. */
export const PEFT_TYPES = [...new Set(METHOD_TYPES.map((method) => FORMATS[method].peftType))];

/** The method whose files have a `peft_type`, and these keys in their adapter_config.json. */
export function methodOfFile(peftType: string, keys: Readonly<Record<string, unknown>>): MethodType {
  const sharing = METHOD_TYPES.filter((method) => FORMATS[method].peftType === peftType);
  const claims = (method: MethodType) => FORMATS[method].matches?.(keys);
  return sharing.find((method) => claims(method)) ?? sharing.find((method) => claims(method) === undefined)!;
}

export function formatOf(method: MethodType): AnyFormat {
  return FORMATS[method] as unknown as AnyFormat;
}

export type AnyConfigInput = ConfigInput<PeftConfig>;
