import { FAMILIES, type Family, type FamilyName, type LinearKind } from '../families.ts';
import type { SafetensorsHeader } from '../safetensors.ts';
import { fail, shown } from './refusal.ts';

/** What must be known of a base model to tell whether an adapter fits it. */
export interface BaseShape {
  family: FamilyName;
  hidden_size: number;
  num_layers: number;
  /** Where unknown, feed-forward widths are checked only against each other. */
  intermediate_size?: number;
}

/** One linear layer that an adapter changes. */
export interface LinearTarget {
  /** Name in transformers' classification model, e.g. `bert.encoder.layer.0.attention.self.query`. */
  readonly module: string;
  /** Its widths, as far as the adapter's tensors tell. */
  readonly inFeatures?: number;
  readonly outFeatures?: number;
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
  const { layer, name } = withinLayer(layers, module);
  const kind = (Object.keys(SIDES) as LinearKind[]).find((each) => linears[each] === name);
  return kind && { layer, sides: SIDES[kind] };
}

/** The number of a module's layer, and what the module is called in there; neither where it is in none. */
function withinLayer(layers: string, module: string): { layer?: string; name?: string } {
  if (!module.startsWith(layers)) return {};
  const [, layer, name] = /^(0|[1-9]\d{0,3})\.(.+)$/.exec(module.slice(layers.length)) ?? [];
  return layer === undefined ? {} : { layer, name: name! };
}

/** The layer of a norm, undefined for the embeddings'; undefined for what is no norm. */
function normOf({ layers, norms, embeddingsNorm }: Family, module: string): { layer?: string } | undefined {
  if (module === embeddingsNorm) return {};
  const { layer, name } = withinLayer(layers, module);
  return layer !== undefined && (name === norms.attention || name === norms.output) ? { layer } : undefined;
}

export function isNorm(family: Family, module: string): boolean {
  return normOf(family, module) !== undefined;
}

/** The width of a norm of a base model. @throws {AppError} `invalid_adapter` where it has no such norm */
export function normWidth(module: string, base: BaseShape, what: string): number {
  const family = FAMILIES[base.family];
  const place = normOf(family, module);
  if (!place) fail(what, `${shown(module)} is no norm of a ${family.title} encoder`);
  requireLayer(place.layer, module, base, what);
  return base.hidden_size;
}

/** The width of what goes into a linear layer of a base model, and of what comes out. @throws {AppError} `invalid_adapter` where it has no such layer */
export function linearSides(
  { module, inFeatures, outFeatures }: LinearTarget,
  base: BaseShape,
  what: string,
): readonly [number, number] {
  const family = FAMILIES[base.family];
  const place = placeOf(family, module);
  if (!place) fail(what, `${shown(module)} is no linear layer of a ${family.title} encoder`);
  const { layer, sides } = place;
  requireLayer(layer, module, base, what);
  const size = { hidden: base.hidden_size, intermediate: base.intermediate_size };
  return [size[sides[0]] ?? inFeatures!, size[sides[1]] ?? outFeatures!];
}

/**
 * The layers that a file of AdapterHub's changes: all up to the highest that the names of its tensors tell, or that is left out, but those.
 * @param pattern matches the names of the tensors that every changed layer has
 */
export function changedLayers(
  { tensors }: SafetensorsHeader,
  { layers }: Family,
  pattern: RegExp,
  leaveOut: readonly number[],
): { indices: number[]; layers: number } {
  const named = [...tensors.keys()].flatMap((name) =>
    pattern.test(name) ? (withinLayer(layers, name).layer ?? []) : [],
  );
  const count = Math.max(-1, ...named.map(Number), ...leaveOut) + 1;
  const indices = Array.from({ length: count }, (_, index) => index);
  return { indices: indices.filter((index) => !leaveOut.includes(index)), layers: count };
}

/** That a file for an encoder of so many layers is used on one. @throws {AppError} `invalid_adapter` */
export function requireLayers(layers: number, base: BaseShape, what: string): void {
  if (layers === base.num_layers) return;
  fail(what, `it is for an encoder of ${layers} layers, the base model has ${base.num_layers}`);
}

function requireLayer(layer: string | undefined, module: string, base: BaseShape, what: string): void {
  if (layer === undefined || Number(layer) < base.num_layers) return;
  fail(
    what,
    `${module} is changed, the base model has ${base.num_layers} layers, the last is ${base.num_layers - 1}`,
  );
}
