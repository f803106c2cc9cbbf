import { type TensorEntry, toFloat32 } from '../../shared/safetensors.ts';
import type { Architecture } from '../models/model.ts';
import { bottleneck } from './bottleneck.ts';
import { keysValues } from './keys-values.ts';
import { type Part, type PartNumbers, stackOf, type TensorBytes } from './part.ts';

/**
 * How much of what other parts add a row gets, by its text: a gate for the factors of a linear layer, the keys and values of one attention, or a
 * bottleneck. A row without the gate gets all of it, exactly.
 */
export const gate: Part = {
  places: (architecture) => placesOf(architecture).map(({ place }) => place),
  stacks: (places, architecture) =>
    placesOf(architecture)
      .filter(({ place }) => places.has(place))
      .flatMap(({ place, inFeatures }) => [
        stackOf(place, 'gateWeight', [inFeatures, 1]),
        stackOf(place, 'gateBias', [1]),
        stackOf(place, 'gateLive', [1]),
      ]),
  sites: (places, rowsOf) => ({
    gate: ({ place }) =>
      places.has(place)
        ? {
            weight: rowsOf(place, 'gateWeight'),
            bias: rowsOf(place, 'gateBias'),
            live: rowsOf(place, 'gateLive'),
          }
        : undefined,
  }),
  unmergeable: 'weighs what it adds anew for every text',
};

/** Every place, and the width of what a gate reads there. Pooled texts have no tokens to weigh. */
function placesOf(architecture: Architecture): { place: string; inFeatures: number }[] {
  const others = [keysValues, bottleneck].flatMap((part) => part.places(architecture, 'mean'));
  return [
    ...architecture.linears('mean').map(({ name, inFeatures }) => ({ place: name, inFeatures })),
    ...others.map((place) => ({ place, inFeatures: architecture.hiddenSize })),
  ];
}

/** The tensors of a gate in an adapter's file: a weight `[1, in]` and a bias `[1]`. */
export interface GateEntries {
  readonly weight: TensorEntry;
  readonly bias: TensorEntry;
}

/** Gates by the name of their place, read each time that a slot is filled. */
export function gateNumbers(gates: ReadonlyMap<string, GateEntries>, bytes: TensorBytes): PartNumbers {
  return {
    size: 0,
    fill: ({ place, tensor }, _size, slot) => {
      const found = gates.get(place);
      if (!found) return;
      if (tensor === 'gateLive') return slot.fill(1);
      const entry = tensor === 'gateWeight' ? found.weight : found.bias;
      slot.set(toFloat32(bytes(entry), entry));
    },
  };
}
