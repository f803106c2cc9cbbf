import type { AdapterBase } from '../../shared/adapter-check.ts';
import type { BaseModelOutline } from './open-base-model.ts';

/** What adapters of a base model are checked against. */
export function adapterBase(
  { id, sha256 }: Pick<AdapterBase, 'id' | 'sha256'>,
  { architecture, poolings }: BaseModelOutline,
): Required<AdapterBase> {
  const { family, hiddenSize, intermediateSize, layers, maxLength } = architecture;
  return {
    id,
    sha256,
    family: family.name,
    hidden_size: hiddenSize,
    num_layers: layers,
    max_length: maxLength,
    intermediate_size: intermediateSize,
    poolings,
  };
}
