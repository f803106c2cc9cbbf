import type { z } from 'zod';
import type { LayoutName } from '../adapter-format.ts';
import { FAMILIES, FAMILY_TITLES, type Family } from '../families.ts';
import type { CommonField, PeftConfig } from '../peft-config.ts';
import { FLOAT_DTYPES, type SafetensorsHeader, type TensorEntry } from '../safetensors.ts';
import type { BaseShape } from './places.ts';
import { fail, shown } from './refusal.ts';

/** The tensors of most methods begin with this in PEFT's sequence classification adapters. */
export const PEFT_PREFIX = 'base_model.model.';

/** A tensor of an adapter, and the shape that it must have on a base model. */
export interface TargetTensor {
  /** What it is called in messages, e.g. `lora_A of bert.encoder.layer.0.attention.self.query`. */
  readonly label: string;
  readonly entry: TensorEntry;
  /** @throws {AppError} `invalid_adapter` where the base model has no such place */
  needed(base: BaseShape, what: string): readonly number[];
}

/** The files that HF PEFT or AdapterHub writes, as far as they are read; `what` names the adapter in messages. */
export interface AdapterFile<C> {
  readonly config: C;
  readonly header: SafetensorsHeader;
  readonly what: string;
}

/** What of an encoder the files of some methods repeat. */
export interface EncoderSizes {
  /** `model_type` of its config.json. */
  readonly type: string;
  readonly family: Family;
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
}

/** What the files of settings are written from. */
export interface ConfigInput<M extends PeftConfig> {
  method: M;
  encoder: EncoderSizes;
  /** Names of the modules that were trained, e.g. `bert.encoder.layer.0.attention.self.query`. */
  modules: readonly string[];
  /** What `from_pretrained` should load: a hub repository or a path; and its revision. */
  baseModel: string;
  revision: string | null;
}

/** How HF PEFT or AdapterHub keeps the adapters of one method: `M` is its configuration here, `C` what decides how tensors of a file are applied, `T` one place that they change. */
export interface AdapterFormat<M extends PeftConfig, C, T> {
  readonly layout: LayoutName;
  /** `peft_type` of PEFT's adapter_config.json, `architecture` of AdapterHub's, which is `bottleneck` where that says none. */
  readonly peftType: string;
  /** What `learning_rate: "auto"` comes to. */
  readonly learningRate: number;
  /** What its tensors are called in messages, e.g. `LoRA matrix`. */
  readonly tensorTitle: string;
  /** Whether a file is a model of its own, as large as the base model, which is served in its place. */
  readonly wholeModel?: true;
  /** Which files are its own, where methods share a `peft_type`, by the keys of adapter_config.json; absent, those that no other claims. */
  matches?(keys: Readonly<Record<string, unknown>>): boolean;
  /** The keys that have an effect, beside those of every method. What Weft cannot honour is refused: wrong scores in silence are worse. */
  readonly keys: z.ZodRawShape;
  /** Keys that say nothing about the result, beside those of every method. */
  readonly withoutEffect: readonly string[];
  /** @param keys what `keys` accepted @throws {AppError} `invalid_adapter` */
  parse(keys: Record<string, unknown>, what: string): C;
  /** The name in its file of a tensor that is trained, beside the head or in it, by its name in transformers' classification model. */
  fileName(name: string): string;
  /** The family of encoders that a file is for. @throws {AppError} `invalid_adapter` where it is for none that there is */
  familyOf(file: AdapterFile<C>): Family;
  /** What a file changes. @throws {AppError} `invalid_adapter` where tensors are missing, or fit neither each other nor the configuration */
  targets(file: AdapterFile<C>, family: Family): readonly T[];
  /** Every tensor of a target: the file holds these, the head's, and no other. */
  tensorsOf(target: T): readonly TargetTensor[];
  /** Whether a tensor that belongs to no target says nothing, by its name; absent, there is none. */
  isSpare?(name: string, family: Family): boolean;
  /** That a target's numbers are such as are served. @throws {AppError} `invalid_adapter` */
  requireValues?(target: T, normOf: (entry: TensorEntry) => number, what: string): void;
  /** What may lengthen a vector, by how much at most, and what it is called; `normOf` gives a tensor's Euclidean norm. */
  gainsOf(target: T, normOf: (entry: TensorEntry) => number): readonly (readonly [string, number])[];
  /** How many of the base model's positions a target takes from the text; none where absent. */
  virtualTokens?(target: T): number;
  /** What an adapter of such files shows as its method. */
  methodOf(config: C, targets: readonly T[], family: Family): Omit<M, CommonField>;
  /** The keys of adapter_config.json, beside those of every method. */
  write(input: ConfigInput<M>): Record<string, unknown>;
}

/** What an adapter changes that PEFT files by module. */
export interface ModuleTarget {
  readonly module: string;
}

/**
 * The members of a format whose tensors are named by the module that they change.
 * @param pattern matches the name of such a tensor; its first group is the module
 * @param describe one module of a file
 */
export function byModule<C, T extends ModuleTarget>(
  tensorTitle: string,
  pattern: RegExp,
  describe: (module: string, file: AdapterFile<C>, family: Family) => T,
): Pick<AdapterFormat<never, C, T>, 'layout' | 'tensorTitle' | 'fileName' | 'familyOf' | 'targets'> {
  const moduleOf = (name: string) => pattern.exec(name)?.[1];
  return {
    layout: 'peft',
    tensorTitle,
    fileName: (name) => PEFT_PREFIX + name,
    familyOf: ({ header, what }) => {
      const families = Object.values(FAMILIES);
      const named = [...header.tensors.keys()].filter((name) => moduleOf(name) !== undefined);
      const [first] = named;
      if (first === undefined) return fail(what, `it has no ${tensorTitle}`);
      const family = families.find(({ root }) =>
        named.some((name) => moduleOf(name)!.startsWith(`${root}.`)),
      );
      return (
        family ??
        fail(what, `tensor ${shown(first)} belongs to none of the encoders there are: ${FAMILY_TITLES}`)
      );
    },
    targets: (file, family) => {
      const named = [...file.header.tensors.keys()].map(moduleOf);
      const modules = new Set(named.filter((module) => module?.startsWith(`${family.root}.`)) as string[]);
      return [...modules].sort(inLayerOrder).map((module) => describe(module, file, family));
    },
  };
}

/** `layer.10` after `layer.9`. */
function inLayerOrder(a: string, b: string): number {
  const padded = (name: string) => name.replace(/\d+/g, (digits) => digits.padStart(4, '0'));
  return padded(a) < padded(b) ? -1 : 1;
}

/** The kinds of module that are changed, such as `attention.self.query`, by their names. */
export function moduleKinds(targets: readonly ModuleTarget[], { root, layers }: Family): string[] {
  const kinds = targets.map(({ module }) =>
    module.startsWith(layers)
      ? module.slice(layers.length).replace(/^\d+\./, '')
      : module.slice(root.length + 1),
  );
  return [...new Set(kinds)].sort();
}

/** A tensor that must be there, of floats, with so many dimensions. */
export function tensor(
  header: SafetensorsHeader,
  name: string,
  dimensions: number,
  what: string,
): TensorEntry {
  const entry = header.tensors.get(name) ?? fail(what, `tensor ${shown(name)} is missing`);
  if (entry.shape.length !== dimensions || entry.shape.includes(0)) {
    fail(what, `${shown(name)} is [${entry.shape}], ${dimensions} dimensions greater than 0 are needed`);
  }
  if (!FLOAT_DTYPES.includes(entry.dtype)) {
    fail(what, `${shown(name)} is ${entry.dtype}, one of ${FLOAT_DTYPES.join(', ')} is needed`);
  }
  return entry;
}

/** Whether PEFT means a module by a name: by the whole of its own, or by its end behind a dot (peft/tuners/tuners_utils.py). */
export function isMeantBy(name: string, module: string): boolean {
  return module === name || module.endsWith(`.${name}`);
}

/** The name of a module's tensor in PEFT's file. */
export function tensorName(module: string, tensorOfModule: string): string {
  return `${PEFT_PREFIX}${module}.${tensorOfModule}`;
}
