import { SUBLAYERS, type SublayerKind } from '../../shared/families.ts';
import {
  ACTIVATIONS,
  type Activation,
  PLACED_IN,
  PLACEMENTS,
  type Placement,
} from '../../shared/methods/bottleneck.ts';
import type { Value } from '../graph/ir.ts';
import type { Architecture } from '../models/model.ts';
import { rowsLinear, type Sites, type SublayerCall } from '../models/sites.ts';
import { add, gelu, mul, relu, sigmoid, tanh } from '../ops/index.ts';
import { fillTransposed, type Part, type PartNumbers, SIZE, stackOf } from './part.ts';

/** Where a bottleneck of one kind stands. */
export interface BottleneckPlace {
  readonly placement: Placement;
  readonly activation: Activation;
  readonly kind: SublayerKind;
  /** Which layer's, from 0. */
  readonly index: number;
}

/**
 * A bottleneck: down `[in, width]`, its bias `[width]`, up `[width, in]`, its bias `[in]`, which all rows share; or each with the batch before
 * that, one for each row, whose layout is `batch-first`.
 */
export interface BottleneckTensors {
  readonly down: Value;
  readonly downBias: Value;
  readonly up: Value;
  readonly upBias: Value;
}

/** What a bottleneck reads: what its half gives without it, what comes out of the half's last linear layer, or what goes into the half. */
const READS: Readonly<Record<Placement, (call: SublayerCall) => Value>> = {
  pfeiffer: ({ y, join }) => join(y),
  houlsby: ({ y }) => y,
  parallel: ({ x }) => x,
};

const ACTIVATE: Readonly<Record<Activation, (x: Value) => Value>> = {
  relu,
  swish: (x) => mul(x, sigmoid(x)),
  gelu,
  tanh,
};

export function placeName({ placement, activation, kind, index }: BottleneckPlace): string {
  return `${placement}:${activation}:layer.${index}.${kind}`;
}

/**
 * Bottlenecks at the end of halves of layers: to what the half's last linear layer gave, up·σ(down·z + b) + b is added. All of one half read
 * what it is without any of them, so that rows with one and rows with another stand in one batch.
 */
export function bottleneckSites(
  places: readonly BottleneckPlace[],
  tensorsOf: (place: BottleneckPlace) => BottleneckTensors,
): Sites {
  return {
    sublayer: (call, next) => {
      const here = places.filter(({ kind, index }) => kind === call.kind && index === call.index);
      const changes = here.map((place) => {
        const { down, downBias, up, upBias } = tensorsOf(place);
        const x = READS[place.placement](call);
        const low = ACTIVATE[place.activation](rowsLinear(x, down, downBias));
        const change = rowsLinear(low, up, upBias);
        const share = call.opening({ place: placeName(place), x });
        return share ? mul(change, share) : change;
      });
      return next({ ...call, y: changes.reduce(add, call.y) });
    },
  };
}

/** Placements and activations have stacks of their own, so that a session computes those alone that its adapters have. Widths share them. */
export const bottleneck: Part = {
  places: (architecture) => placesOf(architecture).map(placeName),
  stacks: (places, architecture) =>
    placesOf(architecture)
      .map(placeName)
      .filter((name) => places.has(name))
      .flatMap((name) => [
        stackOf(name, 'down', [architecture.hiddenSize, SIZE]),
        stackOf(name, 'downBias', [SIZE]),
        stackOf(name, 'up', [SIZE, architecture.hiddenSize]),
        stackOf(name, 'upBias', [architecture.hiddenSize]),
      ]),
  sites: (places, rowsOf, architecture) =>
    bottleneckSites(
      placesOf(architecture).filter((place) => places.has(placeName(place))),
      (place) => {
        const rows = (tensor: keyof BottleneckTensors) => rowsOf(placeName(place), tensor);
        return { down: rows('down'), downBias: rows('downBias'), up: rows('up'), upBias: rows('upBias') };
      },
    ),
  unmergeable: 'puts layers beside those of the base model',
};

/** Every place, in the order of the forward pass. */
function placesOf({ layers }: Architecture): BottleneckPlace[] {
  return Array.from({ length: layers }, (_, index) =>
    SUBLAYERS.flatMap((kind) =>
      PLACEMENTS.filter((placement) => PLACED_IN[placement].includes(kind)).flatMap((placement) =>
        ACTIVATIONS.map((activation) => ({ placement, activation, kind, index })),
      ),
    ),
  ).flat();
}

/** A bottleneck of an adapter, read each time that a slot is filled. */
export interface BottleneckMatrices {
  readonly width: number;
  readonly hiddenSize: number;
  /** What its output is multiplied by. */
  readonly scaling: number;
  /** `[width, hidden]`, `[width]`, `[hidden, width]` and `[hidden]`. */
  down(): Float32Array;
  downBias(): Float32Array;
  up(): Float32Array;
  upBias(): Float32Array;
}

/** Bottlenecks by the name of their place. */
export function bottleneckNumbers(bottlenecks: ReadonlyMap<string, BottleneckMatrices>): PartNumbers {
  return {
    size: Math.max(...[...bottlenecks.values()].map(({ width }) => width)),
    fill: ({ place, tensor }, size, slot) => {
      const found = bottlenecks.get(place);
      if (!found) return;
      const { width, hiddenSize, scaling } = found;
      if (tensor === 'down') fillTransposed(found.down(), hiddenSize, size, slot);
      else if (tensor === 'downBias') slot.set(found.downBias());
      else if (tensor === 'up') fillTransposed(found.up(), width, hiddenSize, slot, scaling);
      else slot.set(found.upBias().map((each) => scaling * each));
    },
  };
}
