import { AppError } from '../../shared/errors.ts';
import { isMeantBy } from '../../shared/methods/format.ts';
import type { LoraConfig } from '../../shared/peft-config.ts';
import type { LinearLayer } from '../models/sites.ts';

/**
 * The layers that `target_modules`, or another field, names, matched as PEFT does (peft/tuners/tuners_utils.py, `check_target_module_exists`):
 * the whole name, or its end behind a dot. `output.dense` therefore matches `attention.output.dense` too.
 * @throws AppError where a name matches nothing, which PEFT would let pass as long as another one does
 */
export function matchTargets(
  targets: Readonly<LoraConfig['target_modules']>,
  layers: readonly LinearLayer[],
  field = 'target_modules',
): readonly LinearLayer[] {
  if (targets === 'all-linear') return layers;
  const matches = (target: string, { name }: LinearLayer) => isMeantBy(target, name);
  const unknown = targets.find((target) => !layers.some((layer) => matches(target, layer)));
  if (unknown !== undefined) throw noneOf(unknown, layers, field);
  return layers.filter((layer) => targets.some((target) => matches(target, layer)));
}

/** That a name of a field means none of the layers that it could. */
export function noneOf(name: string, layers: readonly LinearLayer[], field: string): AppError {
  const kinds = [...new Set(layers.map((layer) => layer.name.replace(/^.*\.\d+\./, '')))].join(', ');
  const among =
    field === 'target_modules'
      ? 'linear layer of the base model, which has'
      : 'layer that is changed, which are';
  return new AppError('invalid_request', `${field}: ${JSON.stringify(name)} is no ${among} ${kinds}`, {
    param: `method.${field}`,
  });
}
