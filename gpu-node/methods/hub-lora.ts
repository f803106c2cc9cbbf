import { HUB_NAME } from '../../shared/adapterhub-config.ts';
import { type HubLoraConfig, hubLoraNames } from '../../shared/methods/hub-lora.ts';
import type { LoraConfig } from '../../shared/peft-config.ts';
import type { Architecture } from '../models/model.ts';
import { lora, nameA, nameB } from './lora.ts';
import { type Member, memberOf } from './union.ts';

/** LoRA as AdapterHub has it in a union: a gate stands in the place of alpha / r. What is trained is what HF PEFT trains, filed by other names. */
export function hubLora(config: HubLoraConfig): Member {
  const member = (architecture: Architecture) => memberOf(lora, plainLora(config, architecture));
  return {
    modules: (architecture) => member(architecture).modules(architecture),
    trainables: (architecture) => member(architecture).trainables(architecture),
    sites: (architecture, ...rest) => member(architecture).sites(architecture, ...rest),
    dropout: config.dropout,
    saved: (architecture, parameters) =>
      Object.fromEntries(
        member(architecture)
          .modules(architecture)
          .flatMap((name) => {
            const { a, b } = hubLoraNames(name, HUB_NAME);
            return [
              [a, parameters[nameA({ name })]!],
              [b, parameters[nameB({ name })]!],
            ];
          }),
      ),
  };
}

/** LoRA whose factors have no scaling, of the layers of these kinds. */
function plainLora(
  { r, target_modules, ...config }: HubLoraConfig,
  { family, layers }: Architecture,
): LoraConfig {
  const names = Array.from({ length: layers }, (_, index) =>
    target_modules.map((kind) => `${family.layers}${index}.${family.linears[kind]}`),
  );
  return {
    ...config,
    type: 'lora',
    r,
    alpha: r,
    use_rslora: false,
    use_dora: false,
    target_modules: names.flat(),
  };
}
