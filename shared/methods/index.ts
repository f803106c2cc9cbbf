import type { LayoutName } from '../adapter-format.ts';
import type { PeftConfig } from '../peft-config.ts';
import { type BiasTarget, bitfitFormat } from './bitfit.ts';
import { type BottleneckFileConfig, type BottleneckTarget, bottleneckFormat } from './bottleneck.ts';
import type { AdapterFormat, ConfigInput } from './format.ts';
import { type FullTarget, fullFormat } from './full.ts';
import { type Ia3Target, ia3Format } from './ia3.ts';
import { type LoraFileConfig, type LoraTarget, loraFormat } from './lora.ts';
import { type MamFileConfig, type MamTarget, mamFormat } from './mam.ts';
import { type PTuningFileConfig, pTuningFormat } from './p-tuning.ts';
import { type PrefixFileConfig, prefixTuningFormat } from './prefix-tuning.ts';
import type { PromptTarget } from './prompt-format.ts';
import { type PromptTuningFileConfig, promptTuningFormat } from './prompt-tuning.ts';
import { type RoadFileConfig, type RoadTarget, roadFormat } from './road.ts';
import { type UnipeltFileConfig, type UnipeltTarget, unipeltFormat } from './unipelt.ts';

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
  bottleneck: { config: BottleneckFileConfig; target: BottleneckTarget };
  mam: { config: MamFileConfig; target: MamTarget };
  unipelt: { config: UnipeltFileConfig; target: UnipeltTarget };
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
  bottleneck: bottleneckFormat,
  mam: mamFormat,
  unipelt: unipeltFormat,
};

export const METHOD_TYPES = Object.keys(FORMATS) as MethodType[];

/** A format as those use it who know nothing of its method. */
type AnyFormat = AdapterFormat<PeftConfig, unknown, unknown>;

/** What the files of a layout call the methods that there are. */
export function fileTypes(layout: LayoutName): string[] {
  const formats = METHOD_TYPES.map((method) => FORMATS[method]).filter((format) => format.layout === layout);
  return [...new Set(formats.map(({ peftType }) => peftType))];
}

/** The method whose files a layout calls so, and which have these keys in their adapter_config.json; undefined for what `fileTypes` lacks. */
export function methodOfFile(
  layout: LayoutName,
  type: string,
  keys: Readonly<Record<string, unknown>>,
): MethodType | undefined {
  const sharing = METHOD_TYPES.filter(
    (method) => FORMATS[method].layout === layout && FORMATS[method].peftType === type,
  );
  const claims = (method: MethodType) => FORMATS[method].matches?.(keys);
  return sharing.find((method) => claims(method)) ?? sharing.find((method) => claims(method) === undefined);
}

export function formatOf(method: MethodType): AnyFormat {
  return FORMATS[method] as unknown as AnyFormat;
}

export type AnyConfigInput = ConfigInput<PeftConfig>;
