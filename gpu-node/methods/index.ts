import type { AdapterDescription } from '../../shared/adapter-description.ts';
import type { MethodType } from '../../shared/methods/index.ts';
import type { Pooling } from '../../shared/peft-config.ts';
import type { Architecture, BaseModel } from '../models/model.ts';
import { headNumbers } from '../parts/head.ts';
import { PART_NAMES, PARTS, type Plan, type ServedAdapter } from '../parts/index.ts';
import type { TensorBytes } from '../parts/part.ts';
import { bitfit } from './bitfit.ts';
import { bottleneck } from './bottleneck.ts';
import { full } from './full.ts';
import { ia3 } from './ia3.ts';
import { lora } from './lora.ts';
import { mam } from './mam.ts';
import type { PeftMethod } from './method.ts';
import { pTuning } from './p-tuning.ts';
import { prefixTuning } from './prefix-tuning.ts';
import { promptTuning } from './prompt-tuning.ts';
import { road } from './road.ts';
import { unipelt } from './unipelt.ts';

/** Every method, by the `type` of its configuration. */
const METHODS: { readonly [M in MethodType]: PeftMethod<M> } = {
  lora,
  ia3,
  bitfit,
  road,
  bottleneck,
  mam,
  unipelt,
  prompt_tuning: promptTuning,
  p_tuning: pTuning,
  prefix_tuning: prefixTuning,
  full,
};

/** A method as those use it who know nothing of it. */
type AnyMethod = PeftMethod<MethodType>;

/** The method of a configuration or a request. */
export function methodOf({ type }: { type: MethodType }): AnyMethod {
  return METHODS[type] as unknown as AnyMethod;
}

/** What a session must be able to apply to serve an adapter of this pooling. */
export function planOf(description: AdapterDescription, architecture: Architecture, pooling: Pooling): Plan {
  const plan = methodOf({ type: description.method }).plan(description, architecture);
  const inOrder = PART_NAMES.map((part) => {
    const named = new Set(plan[part]);
    const places = named.size === 0 ? [] : PARTS[part].places(architecture, pooling);
    return [part, places.filter((name) => named.has(name))] as const;
  });
  return Object.fromEntries(inOrder.filter(([, places]) => places.length > 0));
}

/** How many placeholders stand before the ids of a text, of the virtual tokens that a method has. */
export function placeholdersOf(method: { type: MethodType }, virtualTokens: number): number {
  return methodOf(method).placeholders ? virtualTokens : 0;
}

/**
 * An adapter's numbers, from files that have been checked against the base model; they read on from `bytes`.
 * @throws AppError `invalid_adapter` where they cannot be computed with
 */
export async function loadAdapter(
  description: AdapterDescription,
  bytes: TensorBytes,
  base: BaseModel,
): Promise<ServedAdapter> {
  const changes = await methodOf({ type: description.method }).load(description, bytes, base);
  return { ...changes, head: headNumbers(description.classifier, bytes) };
}
