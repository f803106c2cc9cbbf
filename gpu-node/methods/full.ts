import type { AdapterDescription } from '../../shared/adapter-description.ts';
import { fail, shown } from '../../shared/methods/refusal.ts';
import type { Pooling } from '../../shared/peft-config.ts';
import type { Architecture } from '../models/model.ts';
import { gather, swapLastAxes } from '../ops/index.ts';
import type { Parameters } from '../parts/part.ts';
import type { DerivedTrainable } from '../parts/trainable.ts';
import { frozenLinear, isMatrix } from '../precision/fp32.ts';
import type { BaseWeights, WeightSpec } from '../precision/precision.ts';
import type { PeftMethod } from './method.ts';

/**
 * Every weight of the base model, as transformers fine-tunes it in evaluation mode. Nothing is changed at any place: the graph is that of the base
 * model, on other weights.
 */
export const full: PeftMethod<'full'> = {
  resolve: ({ type }) => ({ type }),
  modules: () => [],
  trainables: ({ pooling }, architecture) => usedSpecs(architecture, pooling).map(trainable),
  sites: () => ({}),
  dropout: () => 0,
  plan: () => ({}),
  load: async () => ({}),
  toShrink: { field: 'type', way: 'train a smaller base model, or another method' },
  wholeModel: { weights, check },
};

/** What a classifier of this pooling reads: only `cls` has a use for a pooler. */
function usedSpecs({ weights }: Architecture, pooling: Pooling): WeightSpec[] {
  return weights.filter(({ optional }) => pooling === 'cls' || !optional);
}

function trainable(spec: WeightSpec): DerivedTrainable {
  const { name, shape } = spec;
  return {
    name,
    shape,
    derive: (graph, { weights: base }) => {
      if (isMatrix(spec)) return swapLastAxes(base.linear(graph, name.replace(/\.weight$/, '')).matrix());
      return graph.weight(base.tensors[name]!);
    },
  };
}

/** The weights of a base model that are being trained. */
function weights(parameters: Parameters): BaseWeights {
  const of = (name: string) => parameters[name]!;
  return {
    tensors: {},
    plain: (_graph, name) => of(name),
    linear: (graph, name) => frozenLinear(graph, swapLastAxes(of(`${name}.weight`)), of(`${name}.bias`)),
    rows: (table, ids) => gather(of(table), ids),
  };
}

/** @throws AppError `invalid_adapter` where tensors are missing, too many or of other shapes */
function check(
  { targets }: AdapterDescription & { method: 'full' },
  architecture: Architecture,
  pooling: Pooling,
  what: string,
): void {
  const needed = new Map(usedSpecs(architecture, pooling).map(({ name, shape }) => [name, shape]));
  for (const { name, entry } of targets) {
    const shape = needed.get(name);
    if (!shape) fail(what, `tensor ${shown(name)} is none of the base model's`);
    if (String(shape) !== String(entry.shape)) {
      fail(what, `${name} is [${entry.shape}], the base model needs [${shape}]`);
    }
    needed.delete(name);
  }
  const [missing] = needed.keys();
  if (missing !== undefined) fail(what, `tensor ${missing} is missing`);
}
