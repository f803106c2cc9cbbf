import type { Graph } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
import { elementCount } from '../graph/shapes.ts';
import type { BaseModel } from '../models/model.ts';
import type { Random } from '../random.ts';

interface TrainableTensor {
  /** Its name in transformers' classification model; PEFT's prefix before it gives its name in the adapter file. */
  readonly name: string;
  readonly shape: readonly number[];
}

export interface DrawnTrainable extends TrainableTensor {
  /** Its first elements, row-major. */
  init(random: Random): Float32Array;
}

export interface DerivedTrainable extends TrainableTensor {
  /** Its first elements as a value of a graph without inputs. */
  derive(graph: Graph, base: BaseModel, random: Random): Value | Promise<Value>;
}

/** A tensor that training changes: one that starts at random or constant, or one that starts from the base model's weights. */
export type Trainable = DrawnTrainable | DerivedTrainable;

/** A tensor whose elements are drawn one after another, row-major. */
export function drawn(
  name: string,
  shape: readonly number[],
  draw: (random: Random) => number,
): DrawnTrainable {
  const length = elementCount(shape);
  return { name, shape, init: (random) => Float32Array.from({ length }, () => draw(random)) };
}

/** Draws from N(0, 1), as torch starts an embedding. */
export const normal = (random: Random) => random.normal();

/** Draws from U(±1/sqrt(in)), as torch starts the weight and the bias of a linear layer (`kaiming_uniform_(a=sqrt(5))`). */
export function asLinear(inFeatures: number): (random: Random) => number {
  const bound = 1 / Math.sqrt(inFeatures);
  return (random) => bound * (2 * random.uniform() - 1);
}

/** The weight `[out, in]` and the bias `[out]` of a linear layer, as torch starts them. */
export function linearTrainables(name: string, inFeatures: number, outFeatures: number): DrawnTrainable[] {
  return [
    drawn(`${name}.weight`, [outFeatures, inFeatures], asLinear(inFeatures)),
    drawn(`${name}.bias`, [outFeatures], asLinear(inFeatures)),
  ];
}

/** A tensor of one value. */
export function filled(name: string, shape: readonly number[], value: number): DrawnTrainable {
  return drawn(name, shape, () => value);
}
