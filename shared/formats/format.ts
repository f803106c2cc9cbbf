import type { z } from 'zod';
import { PEFT_PREFIX } from '../adapter-format.ts';
import { AppError } from '../errors.ts';
import type { CommonField, PeftConfig } from '../peft-config.ts';
import { FLOAT_DTYPES, type SafetensorsHeader, type TensorEntry } from '../safetensors.ts';

/** One linear layer that an adapter changes. */
export interface Target {
  /** Name in transformers' classification model, e.g. `bert.encoder.layer.0.attention.self.query`. */
  readonly module: string;
  /** Its widths, as far as the adapter's tensors tell. */
  readonly inFeatures?: number;
  readonly outFeatures?: number;
}

/** A tensor of a target, and the shape that it must have for a layer from `inFeatures` to `outFeatures`. */
export interface TargetTensor {
  /** Its name within the module, for messages. */
  readonly label: string;
  readonly entry: TensorEntry;
  shape(inFeatures: number, outFeatures: number): readonly number[];
}

/** What an adapter_config.json is written from. */
export interface ConfigInput<M extends PeftConfig> {
  method: M;
  /** Names of the modules that were trained, e.g. `bert.encoder.layer.0.attention.self.query`. */
  modules: readonly string[];
  /** What `from_pretrained` should load: a hub repository or a path; and its revision. */
  baseModel: string;
  revision: string | null;
}

/** How HF PEFT keeps the adapters of one method: `M` is its configuration here, `C` what decides how tensors of a file are applied. */
export interface AdapterFormat<M extends PeftConfig, C, T extends Target> {
  /** `peft_type` of adapter_config.json. */
  readonly peftType: string;
  /** What its tensors are called in messages, e.g. `LoRA matrix`. */
  readonly tensorTitle: string;
  /** The keys that have an effect, beside those of every method. What Weft cannot honour is refused: wrong scores in silence are worse. */
  readonly keys: z.ZodRawShape;
  /** Keys that say nothing about the result, beside those of every method. */
  readonly withoutEffect: readonly string[];
  /** @param keys what `keys` accepted @throws {AppError} `invalid_adapter` */
  parse(keys: Record<string, unknown>, what: string): C;
  /** Matches the name of a tensor of a module; its first group is the module. */
  readonly tensorName: RegExp;
  /** @throws {AppError} `invalid_adapter` where tensors are missing, or fit neither each other nor the configuration */
  describe(module: string, config: C, header: SafetensorsHeader, what: string): T;
  tensorsOf(target: T): readonly TargetTensor[];
  /** What may lengthen a vector, by how much at most, and what it is called; `normOf` gives a tensor's Euclidean norm. */
  gainsOf(target: T, normOf: (entry: TensorEntry) => number): readonly (readonly [string, number])[];
  /** What an adapter of such files shows as its method; `modules` are the kinds of module that it changes. */
  methodOf(config: C, modules: string[], targets: readonly T[]): Omit<M, CommonField>;
  /** The keys of adapter_config.json, beside those of every method. */
  write(input: ConfigInput<M>): Record<string, unknown>;
}

export function fail(what: string, message: string, param?: string): never {
  throw new AppError('invalid_adapter', `${what}: ${message}`, param === undefined ? {} : { param });
}

/** A stranger's name as it may stand in a message. */
export function shown(name: string): string {
  const cut = name.length > 120 ? `${name.slice(0, 120)}…` : name;
  return /^[\w.-]+$/.test(cut) ? cut : JSON.stringify(cut);
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
