import type { AdapterConfig } from './adapter-config.ts';
import { FAMILIES, type Family, type FamilyName } from './families.ts';
import { tensor, tensorName } from './methods/format.ts';
import { formatOf, type MethodType, type TargetOf } from './methods/index.ts';
import type { BaseShape } from './methods/places.ts';
import { fail, shown } from './methods/refusal.ts';
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

/** The content of an adapter's two PEFT files, checked against each other. Targets are in the order of their names. */
export interface DescriptionOf<M extends MethodType> {
  /** The method that wrote the files. */
  method: M;
  /** The family of encoders whose modules the files name. */
  family: FamilyName;
  targets: readonly TargetOf<M>[];
  /** Layers from the pooled text to the logits; the last has one row per label. */
  classifier: { labels: number; layers: readonly ClassifierLayer[] };
}
export type AdapterDescription = { [M in MethodType]: DescriptionOf<M> }[MethodType];

/** Name of a tensor of the head in the files of most methods: weight [out, in], bias [out]. */
export function classifierTensorName(part: 'weight' | 'bias', layer = 'classifier'): string {
  return tensorName(layer, part);
}

function describeClassifier(
  { head }: Family,
  fileName: (name: string) => string,
  header: SafetensorsHeader,
  what: string,
): AdapterDescription['classifier'] {
  const layers = head.map((name): ClassifierLayer => {
    const weight = tensor(header, fileName(`${name}.weight`), 2, what);
    const bias = tensor(header, fileName(`${name}.bias`), 1, what);
    const [outFeatures = 0, inFeatures = 0] = weight.shape;
    if (bias.shape[0] !== outFeatures) {
      fail(what, `${name}.bias is [${bias.shape}], ${name}.weight is [${weight.shape}]`);
    }
    return { name, inFeatures, outFeatures, weight, bias };
  });
  return { labels: layers.at(-1)!.outFeatures, layers };
}

/**
 * Describes a PEFT adapter from its two files. Every tensor must belong to its method at a place of the encoder, or to the classifier; any
 * other is refused by name. `what` names the adapter in messages, e.g. `adapter spam@3`.
 */
export function describeAdapter(
  config: AdapterConfig,
  header: SafetensorsHeader,
  what: string,
): AdapterDescription {
  const { method } = config;
  const format = formatOf(method);
  const file = { config, header, what };
  const family = format.familyOf(file);
  const classifier = describeClassifier(family, format.fileName, header, what);
  const targets = format.targets(file, family);
  const known = new Set(classifier.layers.flatMap(({ weight, bias }) => [weight, bias]));
  for (const { entry } of targets.flatMap((target) => format.tensorsOf(target))) known.add(entry);
  for (const [name, entry] of header.tensors) {
    if (known.has(entry) || format.isSpare?.(name, family)) continue;
    const { tensorTitle } = format;
    fail(
      what,
      `tensor ${shown(name)} is neither a ${tensorTitle} of a ${family.title} encoder nor its classifier`,
    );
  }
  return { method, family: family.name, targets, classifier } as unknown as AdapterDescription;
}

/** Checks that an adapter fits a base model. Throws `invalid_adapter`, naming tensor and shapes, where it does not. */
export function checkAgainstBase(description: AdapterDescription, base: BaseShape, what: string): void {
  if (description.family !== base.family) {
    const [its, bases] = [FAMILIES[description.family].title, FAMILIES[base.family].title];
    fail(what, `it changes a ${its} encoder, the base model is a ${bases} encoder`);
  }
  const { tensorsOf } = formatOf(description.method);
  for (const { label, entry, needed } of description.targets.flatMap(tensorsOf)) {
    const shape = needed(base, what);
    if (String(entry.shape) === String(shape)) continue;
    fail(what, `${label} is [${entry.shape}], the base model needs [${shape}]`);
  }
  const { layers, labels } = description.classifier;
  for (const [i, { name, weight }] of layers.entries()) {
    const needed = [i === layers.length - 1 ? labels : base.hidden_size, base.hidden_size];
    if (String(weight.shape) !== String(needed)) {
      fail(what, `${name}.weight is [${weight.shape}], the base model needs [${needed}]`);
    }
  }
}

/** Checks that there is one label per row of the classifier. Throws `invalid_adapter`, at `labels`, where the counts differ. */
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
