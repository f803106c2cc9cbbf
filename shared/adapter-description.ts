import type { AdapterConfig } from './adapter-config.ts';
import { FAMILIES, type Family, type FamilyName, type LinearKind } from './families.ts';
import { fail, shown, type Target, tensor, tensorName } from './formats/format.ts';
import { formatOf, type MethodType, type TargetOf } from './formats/index.ts';
import type { SafetensorsHeader, TensorEntry } from './safetensors.ts';

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
export interface DescriptionOf<M extends MethodType> {
  /** The method whose files they are. */
  method: M;
  /** The family of encoders whose modules it names. */
  family: FamilyName;
  targets: readonly TargetOf<M>[];
  /** Layers from the pooled text to the logits; the last has a row a label. */
  classifier: { labels: number; layers: readonly ClassifierLayer[] };
}
export type AdapterDescription = { [M in MethodType]: DescriptionOf<M> }[MethodType];

/** What must be known of a base model to tell whether an adapter fits it. */
export interface BaseShape {
  family: FamilyName;
  hidden_size: number;
  num_layers: number;
  /** Where unknown, feed-forward widths are checked only against each other. */
  intermediate_size?: number;
}

/** The tensor of a layer of the head in PEFT's file: weight [out, in], bias [out]. */
export function classifierTensorName(part: 'weight' | 'bias', layer = 'classifier'): string {
  return tensorName(layer, part);
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

/** The family whose encoder a tensor of the method names first. */
function familyOf(method: MethodType, header: SafetensorsHeader, what: string): Family {
  const { tensorName: pattern, tensorTitle } = formatOf(method);
  const families = Object.values(FAMILIES);
  const first = [...header.tensors.keys()].find((name) => pattern.test(name));
  if (first === undefined) fail(what, `it has no ${tensorTitle}`);
  const [, module = ''] = pattern.exec(first) ?? [];
  const family = families.find(({ root }) => module.startsWith(`${root}.`));
  const known = families.map(({ title }) => title).join(', ');
  return family ?? fail(what, `tensor ${shown(first)} belongs to none of the encoders there are: ${known}`);
}

/** `layer.10` after `layer.9`. */
function byModule(a: string, b: string): number {
  const padded = (name: string) => name.replace(/\d+/g, (digits) => digits.padStart(4, '0'));
  return padded(a) < padded(b) ? -1 : 1;
}

/**
 * What a PEFT adapter holds, from its two files. Every tensor must be one of its method at a place of the encoder, or of the classifier;
 * anything else is refused by name. `what` names the adapter in messages, e.g. `adapter spam@3`.
 */
export function describeAdapter(
  config: AdapterConfig,
  header: SafetensorsHeader,
  what: string,
): AdapterDescription {
  const { method } = config;
  const format = formatOf(method);
  const family = familyOf(method, header, what);
  const classifier = describeClassifier(family, header, what);
  const head = new Set(classifier.layers.flatMap(({ weight, bias }) => [weight, bias]));
  const modules = new Set<string>();
  for (const [name, entry] of header.tensors) {
    const [, module] = format.tensorName.exec(name) ?? [];
    if (module?.startsWith(`${family.root}.`)) modules.add(module);
    else if (!head.has(entry)) {
      const { tensorTitle } = format;
      fail(
        what,
        `tensor ${shown(name)} is neither a ${tensorTitle} of a ${family.title} encoder nor its classifier`,
      );
    }
  }
  const targets = [...modules].sort(byModule).map((module) => format.describe(module, config, header, what));
  return { method, family: family.name, targets, classifier } as unknown as AdapterDescription;
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

function checkTarget(method: MethodType, target: Target, base: BaseShape, what: string): void {
  const { module } = target;
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
  const [inFeatures, outFeatures] = [
    size[sides[0]] ?? target.inFeatures,
    size[sides[1]] ?? target.outFeatures,
  ];
  for (const { label, entry, shape } of formatOf(method).tensorsOf(target)) {
    const needed = shape(inFeatures!, outFeatures!);
    if (String(entry.shape) === String(needed)) continue;
    fail(what, `${label} of ${module} is [${entry.shape}], the base model needs [${needed}]`);
  }
}

/** Throws `invalid_adapter`, naming tensor and shapes, where an adapter does not fit a base model. */
export function checkAgainstBase(description: AdapterDescription, base: BaseShape, what: string): void {
  if (description.family !== base.family) {
    const [its, bases] = [FAMILIES[description.family].title, FAMILIES[base.family].title];
    fail(what, `it changes a ${its} encoder, the base model is a ${bases} encoder`);
  }
  for (const target of description.targets) checkTarget(description.method, target, base, what);
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
