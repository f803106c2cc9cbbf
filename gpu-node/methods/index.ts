import type { AdapterDescription } from '../../shared/adapter-description.ts';
import type { PeftConfig } from '../../shared/peft-config.ts';
import type { BaseModel } from '../models/model.ts';
import type { LinearLayer } from '../models/sites.ts';
import { headNumbers } from '../parts/head.ts';
import { LINEAR_PART_NAMES, type Plan, type ServedAdapter } from '../parts/index.ts';
import type { TensorBytes } from '../parts/part.ts';
import { lora } from './lora.ts';
import type { PeftMethod } from './method.ts';

type MethodTable = { readonly [T in PeftConfig['type']]: PeftMethod<Extract<PeftConfig, { type: T }>> };

/** Every method, by the `type` of its configuration. */
const METHODS: MethodTable = { lora };

/** The method of a configuration. */
export function methodOf(config: Pick<PeftConfig, 'type'>): PeftMethod<PeftConfig> {
  return METHODS[config.type];
}

/** What a session must be able to apply to serve an adapter; `layers` are those that its pooling leads through, in the order of the forward pass. */
export function planOf(description: AdapterDescription, layers: readonly LinearLayer[]): Plan {
  const plan = METHODS[description.method].plan(description);
  const inOrder = LINEAR_PART_NAMES.map((part) => {
    const named = new Set(plan[part]);
    return [part, layers.map(({ name }) => name).filter((name) => named.has(name))] as const;
  });
  return Object.fromEntries(inOrder.filter(([, places]) => places.length > 0));
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
  const changes = await METHODS[description.method].load(description, bytes, base);
  return { ...changes, head: headNumbers(description.classifier, bytes) };
}
