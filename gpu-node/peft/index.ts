import type { AdapterKind } from '../../shared/adapter-description.ts';
import type { PeftConfig } from '../../shared/peft-config.ts';
import { doraServing } from './dora-serving.ts';
import { lora, loraServing } from './lora.ts';
import type { PeftMethod, ServingMethod } from './method.ts';

type MethodTable = { readonly [T in PeftConfig['type']]: PeftMethod<Extract<PeftConfig, { type: T }>> };

/** Every method, by the `type` of its configuration. */
export const PEFT_METHODS: MethodTable = { lora };

/** How adapters are served, by what their files hold: each kind has graphs of its own, so that none pays for another's. */
export const SERVING_METHODS: Readonly<Record<AdapterKind, ServingMethod>> = {
  lora: loraServing,
  dora: doraServing,
};

/** The method of a configuration. */
export function methodOf(config: PeftConfig): PeftMethod<PeftConfig> {
  return PEFT_METHODS[config.type];
}
