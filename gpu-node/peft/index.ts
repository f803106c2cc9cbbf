import type { PeftConfig } from '../../shared/peft-config.ts';
import { lora } from './lora.ts';
import type { PeftMethod } from './method.ts';

type MethodTable = { readonly [T in PeftConfig['type']]: PeftMethod<Extract<PeftConfig, { type: T }>> };

/** Every method, by the `type` of its configuration. */
export const PEFT_METHODS: MethodTable = { lora };

/** The method of a configuration. */
export function methodOf(config: PeftConfig): PeftMethod<PeftConfig> {
  return PEFT_METHODS[config.type];
}
