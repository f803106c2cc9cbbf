import type { Architecture } from '../models/model.ts';
import type { LinearLayer } from '../models/sites.ts';
import { type Part, placeOf, stackOf } from './part.ts';

/** A linear layer whose outputs are paired at a distance: its graph differs from one distance to another. */
interface Pairing {
  readonly place: string;
  readonly layer: LinearLayer;
  readonly distance: number;
}

/** The place of a layer whose outputs are paired at a distance. */
export const turnPlace = (module: string, distance: number) => placeOf(module, String(distance));

/** Every way to pair a layer's outputs: groups of twice the distance, first half with second, must fill its width. */
function pairings(layers: readonly LinearLayer[]): Pairing[] {
  return layers.flatMap((layer) => {
    const distances = Array.from({ length: layer.outFeatures >> 1 }, (_, i) => i + 1);
    return distances
      .filter((distance) => layer.outFeatures % (2 * distance) === 0)
      .map((distance) => ({ place: turnPlace(layer.name, distance), layer, distance }));
  });
}

const among = (places: ReadonlySet<string>, { linears }: Pick<Architecture, 'linears'>) =>
  pairings(linears('cls')).filter(({ place }) => places.has(place));

/** What is added to a layer's outputs: each the other of its pair times a factor, `[out]`. */
export const turn: Part = {
  places: ({ linears }, pooling) => pairings(linears(pooling)).map(({ place }) => place),
  stacks: (places, architecture) =>
    among(places, architecture).map(({ place, layer }) => stackOf(place, 'factors', [layer.outFeatures])),
  sites: (places, rowsOf, architecture) => {
    const used = Map.groupBy(among(places, architecture), ({ layer }) => layer.name);
    return {
      linear: ({ layer }) => {
        const here = used.get(layer.name);
        return (
          here && {
            turns: here.map(({ place, distance }) => ({ distance, factors: rowsOf(place, 'factors') })),
          }
        );
      },
    };
  },
  unmergeable: null,
};
