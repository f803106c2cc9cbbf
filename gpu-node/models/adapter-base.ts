import type { AdapterBase } from '../weights/adapter-file.ts';
import type { Architecture } from './model.ts';

/** What adapters of a base model are checked against. */
export function adapterBase(
  { id, sha256 }: Pick<AdapterBase, 'id' | 'sha256'>,
  { family, hiddenSize, intermediateSize, layers, maxLength }: Architecture,
): AdapterBase {
  return {
    id,
    sha256,
    family: family.name,
    hidden_size: hiddenSize,
    num_layers: layers,
    max_length: maxLength,
    intermediate_size: intermediateSize,
  };
}
