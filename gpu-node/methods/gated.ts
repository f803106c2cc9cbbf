import { gateTensorNames } from '../../shared/methods/gated.ts';
import type { Architecture } from '../models/model.ts';
import { composeSites, type Sites } from '../models/sites.ts';
import { swapLastAxes } from '../ops/index.ts';
import type { Parameters } from '../parts/part.ts';
import { drawn, filled, type Trainable } from '../parts/trainable.ts';
import type { Member } from './union.ts';

/** As BERT's weights start, and AdapterHub's gates. */
const DEVIATION = 0.02;

/** A gate of a union's member: the place of what it weighs, the name that its tensors begin with in the file, and the width of what it reads. */
export interface GateAt {
  readonly place: string;
  readonly name: string;
  readonly inFeatures: number;
}

/** A member of a union whose changes stand behind gates, which start half open whatever the text. */
export function gated(member: Member, gatesOf: (architecture: Architecture) => readonly GateAt[]): Member {
  const own = (architecture: Architecture) => gatesOf(architecture).flatMap(gateTrainables);
  return {
    ...member,
    trainables: (architecture) => [...member.trainables(architecture), ...own(architecture)],
    sites: (architecture, parameters, dropout) =>
      composeSites([
        member.sites(architecture, parameters, dropout),
        gateSites(gatesOf(architecture), parameters),
      ]),
    saved: (architecture, parameters) => ({
      ...member.saved(architecture, parameters),
      ...Object.fromEntries(own(architecture).map(({ name }) => [name, parameters[name]!])),
    }),
  };
}

function gateTrainables({ name, inFeatures }: GateAt): Trainable[] {
  const { weight, bias } = gateTensorNames(name);
  return [drawn(weight, [1, inFeatures], (random) => DEVIATION * random.normal()), filled(bias, [1], 0)];
}

/** The gates of training and evaluation. */
function gateSites(gates: readonly GateAt[], parameters: Parameters): Sites {
  const byPlace = new Map(gates.map(({ place, name }) => [place, gateTensorNames(name)]));
  return {
    gate: ({ place }) => {
      const names = byPlace.get(place);
      return names && { weight: swapLastAxes(parameters[names.weight]!), bias: parameters[names.bias]! };
    },
  };
}
