import { type AdapterConfig, loraScaling } from './adapter-config.ts';
import { PEFT_PREFIX } from './adapter-format.ts';
import { AppError } from './errors.ts';
import { FAMILIES, type Family, type FamilyName, type LinearKind } from './families.ts';
import type { PeftConfig } from './peft-config.ts';
import { FLOAT_DTYPES, type SafetensorsHeader, type TensorEntry } from './safetensors.ts';

/**
 * One linear layer that an adapter changes: y = W'x + b with W' = W + scaling·B·A; with a magnitude (DoRA) each row of W' is
 * scaled to the norm that the magnitude says.
 */
export interface LoraTarget {
  /** Name in transformers' classification model, e.g. `bert.encoder.layer.0.attention.self.query`. */
  module: string;
  r: number;
  inFeatures: number;
  outFeatures: number;
  scaling: number;
  /** A is [r, in], B is [out, r]. */
  a: TensorEntry;
  b: TensorEntry;
  /** [out]; null for plain LoRA. Either all targets of an adapter have one or none. */
  magnitude: TensorEntry | null;
}

/** One linear layer of the classification head: weight [out, in], bias [out]. */
export interface ClassifierLayer {
  /** Name in transformers' classification model, e.g. `classifier`. */
  name: string;
  inFeatures: number;
  outFeatures: number;
  weight: TensorEntry;
  bias: TensorEntry;
}

/** What an adapter's two PEFT files hold, checked against each other. Targets are in the order of their names. */
export interface AdapterDescription {
  /** The method whose file it is. */
  method: PeftConfig['type'];
  /** The family of encoders whose modules it names. */
  family: FamilyName;
  targets: readonly LoraTarget[];
  /** Layers from the pooled text to the logits; the last has a row a label. */
  classifier: { labels: number; layers: readonly ClassifierLayer[] };
}

/** What must be known of a base model to tell whether an adapter fits it. */
export interface BaseShape {
  family: FamilyName;
  hidden_size: number;
  num_layers: number;
  /** Where unknown, feed-forward widths are checked only against each other. */
  intermediate_size?: number;
}

/** The tensor of a module's A or B in PEFT's file. */
export function loraTensorName(module: string, matrix: 'A' | 'B'): string {
  return `${PEFT_PREFIX}${module}.lora_${matrix}.weight`;
}

/** The tensor of a module's DoRA magnitude in PEFT's file. */
export function magnitudeTensorName(module: string): string {
  return `${PEFT_PREFIX}${module}.lora_magnitude_vector`;
}

/** The tensor of a layer of the head in PEFT's file: weight [out, in], bias [out]. */
export function classifierTensorName(part: 'weight' | 'bias', layer = 'classifier'): string {
  return `${PEFT_PREFIX}${layer}.${part}`;
}

/** A tensor of an adapter, and what it is to its module. */
const LORA_TENSOR = /^base_model\.model\.(.+)\.lora_([AB]\.weight|magnitude_vector)$/;

function fail(what: string, message: string, param?: string): never {
  throw new AppError('invalid_adapter', `${what}: ${message}`, param === undefined ? {} : { param });
}

/** A stranger's name as it may stand in a message. */
function shown(name: string): string {
  const cut = name.length > 120 ? `${name.slice(0, 120)}…` : name;
  return /^[\w.-]+$/.test(cut) ? cut : JSON.stringify(cut);
}

function tensor(header: SafetensorsHeader, name: string, dimensions: number, what: string): TensorEntry {
  const entry = header.tensors.get(name) ?? fail(what, `tensor ${shown(name)} is missing`);
  if (entry.shape.length !== dimensions || entry.shape.includes(0)) {
    fail(what, `${shown(name)} is [${entry.shape}], ${dimensions} dimensions greater than 0 are needed`);
  }
  if (!FLOAT_DTYPES.includes(entry.dtype)) {
    fail(what, `${shown(name)} is ${entry.dtype}, one of ${FLOAT_DTYPES.join(', ')} is needed`);
  }
  return entry;
}

function describeTarget(
  module: string,
  config: AdapterConfig,
  header: SafetensorsHeader,
  what: string,
): LoraTarget {
  const a = tensor(header, loraTensorName(module, 'A'), 2, what);
  const b = tensor(header, loraTensorName(module, 'B'), 2, what);
  const [rows = 0, inFeatures = 0] = a.shape;
  const [outFeatures = 0, columns = 0] = b.shape;
  const { r, scaling } = loraScaling(config, module);
  if (rows !== r) {
    fail(what, `lora_A of ${shown(module)} is [${a.shape}], adapter_config.json gives it rank ${r}`);
  }
  if (columns !== r) {
    fail(what, `lora_B of ${shown(module)} is [${b.shape}], adapter_config.json gives it rank ${r}`);
  }
  const magnitude = config.dora ? tensor(header, magnitudeTensorName(module), 1, what) : null;
  if (magnitude && magnitude.shape[0] !== outFeatures) {
    fail(what, `lora_magnitude_vector of ${shown(module)} is [${magnitude.shape}], lora_B is [${b.shape}]`);
  }
  return { module, r, inFeatures, outFeatures, scaling, a, b, magnitude };
}

function describeClassifier(
  { head }: Family,
  header: SafetensorsHeader,
  what: string,
): AdapterDescription['classifier'] {
  const layers = head.map((name): ClassifierLayer => {
    const weight = tensor(header, classifierTensorName('weight', name), 2, what);
    const bias = tensor(header, classifierTensorName('bias', name), 1, what);
    const [outFeatures = 0, inFeatures = 0] = weight.shape;
    if (bias.shape[0] !== outFeatures) {
      fail(what, `${name}.bias is [${bias.shape}], ${name}.weight is [${weight.shape}]`);
    }
    return { name, inFeatures, outFeatures, weight, bias };
  });
  return { labels: layers.at(-1)!.outFeatures, layers };
}

/** The family whose encoder a LoRA matrix names first. */
function familyOf(header: SafetensorsHeader, what: string): Family {
  const families = Object.values(FAMILIES);
  const matrix = [...header.tensors.keys()].find((name) => LORA_TENSOR.test(name));
  if (matrix === undefined) fail(what, 'it has no LoRA matrices');
  const [, module = ''] = LORA_TENSOR.exec(matrix) ?? [];
  const family = families.find(({ root }) => module.startsWith(`${root}.`));
  const known = families.map(({ title }) => title).join(', ');
  return family ?? fail(what, `tensor ${shown(matrix)} belongs to none of the encoders there are: ${known}`);
}

/** `layer.10` after `layer.9`. */
function byModule(a: string, b: string): number {
  const padded = (name: string) => name.replace(/\d+/g, (digits) => digits.padStart(4, '0'));
  return padded(a) < padded(b) ? -1 : 1;
}

/**
 * What a PEFT adapter holds, from its two files. Every tensor must be a LoRA matrix of the encoder, a DoRA magnitude
 * or the classifier; anything else is refused by name. `what` names the adapter in messages, e.g. `adapter spam@3`.
 */
export function describeAdapter(
  config: AdapterConfig,
  header: SafetensorsHeader,
  what: string,
): AdapterDescription {
  const modules = new Set<string>();
  const family = familyOf(header, what);
  const classifier = describeClassifier(family, header, what);
  const head = new Set(classifier.layers.flatMap(({ weight, bias }) => [weight, bias]));
  for (const [name, entry] of header.tensors) {
    const [, module, part] = LORA_TENSOR.exec(name) ?? [];
    if (part === 'magnitude_vector' && !config.dora) {
      fail(what, `tensor ${shown(name)} is of DoRA, adapter_config.json does not say use_dora`);
    }
    if (module?.startsWith(`${family.root}.`)) modules.add(module);
    else if (!head.has(entry)) {
      fail(
        what,
        `tensor ${shown(name)} is neither a LoRA matrix of a ${family.title} encoder nor its classifier`,
      );
    }
  }
  const sorted = [...modules].sort(byModule);
  return {
    method: 'lora',
    family: family.name,
    targets: sorted.map((module) => describeTarget(module, config, header, what)),
    classifier,
  };
}

type Side = 'hidden' | 'intermediate';

/** The width of what goes into a linear layer and of what comes out. */
const SIDES: Readonly<Record<LinearKind, readonly [Side, Side]>> = {
  query: ['hidden', 'hidden'],
  key: ['hidden', 'hidden'],
  value: ['hidden', 'hidden'],
  attentionOutput: ['hidden', 'hidden'],
  intermediate: ['hidden', 'intermediate'],
  output: ['intermediate', 'hidden'],
};

/** The layer that a module belongs to, undefined for the pooler, and its sides; undefined for what is no linear layer. */
function placeOf({ layers, linears, pooler }: Family, module: string) {
  if (module === pooler) return { layer: undefined, sides: ['hidden', 'hidden'] as const };
  if (!module.startsWith(layers)) return undefined;
  const [, layer, name] = /^(0|[1-9]\d{0,3})\.(.+)$/.exec(module.slice(layers.length)) ?? [];
  const kind = (Object.keys(SIDES) as LinearKind[]).find((each) => linears[each] === name);
  return kind && { layer, sides: SIDES[kind] };
}

function checkTarget(target: LoraTarget, base: BaseShape, what: string): void {
  const { module, r } = target;
  const family = FAMILIES[base.family];
  const place = placeOf(family, module);
  if (!place) fail(what, `${shown(module)} is no linear layer of a ${family.title} encoder`);
  const { layer, sides } = place;
  if (layer !== undefined && Number(layer) >= base.num_layers) {
    fail(
      what,
      `${module} is changed, the base model has ${base.num_layers} layers, the last is ${base.num_layers - 1}`,
    );
  }
  const size = { hidden: base.hidden_size, intermediate: base.intermediate_size };
  const inNeeded = size[sides[0]] ?? target.inFeatures;
  const outNeeded = size[sides[1]] ?? target.outFeatures;
  if (target.inFeatures !== inNeeded) {
    fail(what, `lora_A of ${module} is [${target.a.shape}], the base model needs [${r},${inNeeded}]`);
  }
  if (target.outFeatures !== outNeeded) {
    fail(what, `lora_B of ${module} is [${target.b.shape}], the base model needs [${outNeeded},${r}]`);
  }
}

/** Throws `invalid_adapter`, naming tensor and shapes, where an adapter does not fit a base model. */
export function checkAgainstBase(description: AdapterDescription, base: BaseShape, what: string): void {
  if (description.family !== base.family) {
    const [its, bases] = [FAMILIES[description.family].title, FAMILIES[base.family].title];
    fail(what, `it changes a ${its} encoder, the base model is a ${bases} encoder`);
  }
  for (const target of description.targets) checkTarget(target, base, what);
  const { layers, labels } = description.classifier;
  for (const [i, { name, weight }] of layers.entries()) {
    const needed = [i === layers.length - 1 ? labels : base.hidden_size, base.hidden_size];
    if (String(weight.shape) !== String(needed)) {
      fail(what, `${name}.weight is [${weight.shape}], the base model needs [${needed}]`);
    }
  }
}

/** Throws `invalid_adapter`, at `labels`, where a list of labels is not one per row of the classifier. */
export function checkLabels(description: AdapterDescription, labels: readonly string[], what: string): void {
  const { name, outFeatures, weight } = description.classifier.layers.at(-1)!;
  if (labels.length !== outFeatures) {
    fail(
      what,
      `${labels.length} labels are given, ${name}.weight is [${weight.shape}]: one label a row is needed`,
      'labels',
    );
  }
  if (new Set(labels).size !== labels.length) fail(what, 'a label is given twice', 'labels');
}
