import type { Pooling } from '../../shared/peft-config.ts';
import type { TensorEntry } from '../../shared/safetensors.ts';
import type { Value } from '../graph/ir.ts';
import type { Architecture } from '../models/model.ts';
import type { LinearChange, LinearLayer, Sites } from '../models/sites.ts';

/** Stands in a stack's shape for what differs between the adapters of one part: the rank, the number of labels. */
export const SIZE = 'size';

/** A graph input that holds one tensor of every adapter in a slot of its part: float32 `[slots, ...shape]`. */
export interface Stack {
  readonly name: string;
  /** The module that the tensor belongs to. */
  readonly place: string;
  /** Which of the module's tensors it is. */
  readonly tensor: string;
  /** Shape of one slot. */
  readonly shape: readonly (number | typeof SIZE)[];
}

export function stackOf(place: string, tensor: string, shape: Stack['shape']): Stack {
  return { name: stackName(place, tensor), place, tensor, shape };
}

export function stackName(place: string, tensor: string): string {
  return `${place}.${tensor}`;
}

/** A tensor of a place for each row, `[batch, ...shape]`, out of its stack; zeros for a row without the part. */
export type RowsOf = (place: string, tensor: string) => Value;

/** Values by name: trainables or stacks, as graph inputs. */
export type Parameters = Readonly<Record<string, Value>>;

/** One of the ways in which methods change an encoder: where it can act, the stacks that it takes, and what a row's numbers in them do. */
export interface Part {
  /** The names of the places where it can act, in the order of the forward pass. */
  places(architecture: Architecture, pooling: Pooling): readonly string[];
  /** The stacks of some of these places. */
  stacks(places: ReadonlySet<string>, architecture: Architecture): readonly Stack[];
  /** What the rows' numbers do at these places, in a graph whose layout is `batch-first`. */
  sites(places: ReadonlySet<string>, rowsOf: RowsOf, architecture: Architecture): Sites;
  /**
   * Why weights of the base model cannot do what it does, beginning with a verb: `puts keys and values before those of a text`. Null where they
   * can, because it only makes other linear layers and norms of those there are, the same ones for every text.
   */
  readonly unmergeable: string | null;
}

/** The place of a part that acts on one module in several ways: the module and the way. */
export function placeOf(module: string, way: string): string {
  return `${module}@${way}`;
}

/** The module of a place. */
export function moduleOf(place: string): string {
  return place.split('@', 1)[0]!;
}

/** A part that acts on linear layers. */
export function linearPart({
  stacks,
  change,
}: {
  stacks(layer: LinearLayer): readonly Stack[];
  change(layer: LinearLayer, rowsOf: RowsOf): LinearChange;
}): Part {
  return {
    places: (architecture, pooling) => architecture.linears(pooling).map(({ name }) => name),
    stacks: (places, architecture) =>
      architecture
        .linears('cls')
        .filter(({ name }) => places.has(name))
        .flatMap(stacks),
    sites: (places, rowsOf) => ({
      linear: ({ layer }) => (places.has(layer.name) ? change(layer, rowsOf) : undefined),
    }),
    unmergeable: null,
  };
}

/** The bytes of a tensor of an adapter's files, which may change at the next call. */
export type TensorBytes = (entry: TensorEntry) => Uint8Array;

/** Of a file that is in memory as one piece. */
export function bytesIn(file: Uint8Array): TensorBytes {
  return ({ begin, end }) => file.subarray(begin, end);
}

/** What an adapter puts into the stacks of one part. */
export interface PartNumbers {
  /** Its rank or number of labels; a stack of that size or a larger one holds it. 0 where the part's stacks have no `SIZE`. */
  readonly size: number;
  /**
   * Writes this adapter's tensor of a stack into `slot`, the elements of one slot of a stack of `size`, which hold zeros.
   * The slot of a place that the adapter does not change stays zero.
   */
  fill(stack: Stack, size: number, slot: Float32Array): void;
}

/** Writes `matrix`, `[rows, columns]`, times `scaling` as `[columns, width]`; columns beyond `rows` keep their zeros. */
export function fillTransposed(
  matrix: Float32Array,
  columns: number,
  width: number,
  slot: Float32Array,
  scaling = 1,
): void {
  for (let row = 0; row * columns < matrix.length; row++) {
    for (let column = 0; column < columns; column++) {
      slot[column * width + row] = scaling * matrix[row * columns + column]!;
    }
  }
}
