import type { Graph } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
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
