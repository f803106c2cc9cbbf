import type { AdapterDescription } from '../../shared/adapter-description.ts';
import type { Pooling } from '../../shared/peft-config.ts';
import type { TensorEntry } from '../../shared/safetensors.ts';
import type { Graph } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
import type { Architecture, BaseModel, LinearHook, LinearLayer } from '../models/model.ts';
import type { BaseWeights } from '../precision/precision.ts';
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
  derive(graph: Graph, weights: BaseWeights): Value;
}

/** A tensor that training changes: one that starts at random or constant, or one that starts from the base model's weights. */
export type Trainable = DrawnTrainable | DerivedTrainable;

/** Values by name: trainables or stacks, as graph inputs. */
export type Parameters = Readonly<Record<string, Value>>;

/** Dropout of a training graph, or its absence in evaluation. */
export interface Dropout {
  /** x with elements zeroed, those kept not yet scaled. */
  mask(x: Value): Value;
  /** What the kept elements must be multiplied by: 1 / (1 - p). */
  readonly scale: number;
}

export const NO_DROPOUT: Dropout = { mask: (x) => x, scale: 1 };

/** Sizes that differ between adapters of one batch; a stack has the largest of each. */
export interface SlotSizes {
  readonly rank: number;
  readonly labels: number;
}

/** A graph input that holds one tensor of every resident adapter: float32 `[slots, ...shape]`. */
export interface Stack {
  readonly name: string;
  /** Shape of one slot; `rank` and `labels` stand for the stack's sizes. */
  readonly shape: readonly (number | keyof SlotSizes)[];
}

/** The bytes of a tensor of adapter_model.safetensors, which may change at the next call. */
export type TensorBytes = (entry: TensorEntry) => Uint8Array;

/** Of a file that is in memory as one piece. */
export function bytesIn(file: Uint8Array): TensorBytes {
  return ({ begin, end }) => file.subarray(begin, end);
}

/** An adapter's tensors in memory, ready to be put into stacks. */
export interface ServedAdapter {
  readonly sizes: SlotSizes;
  /**
   * Writes this adapter's part of a stack into `slot`, the elements of one slot of a stack of `sizes`, which hold zeros.
   * A stack of a layer that the adapter does not change stays zero.
   */
  fill(stack: Stack, sizes: SlotSizes, slot: Float32Array): void;
}

/**
 * How a method's adapters share one graph: tensors stacked by slot, gathered by each row's slot; slot 0 is all zeros.
 *
 * ```ts
 * const stacks = [...serving.stacks(layers), ...classifierStacks(architecture.head)];
 * const values = {};                                                   // one graph input each
 * for (const { name, shape } of stacks) values[name] = graph.input(name, 'float32', ['slots', ...shape]);
 * const linear = serving.inject(layers, values, slots);
 * const hidden = architecture.encode(weights, inputs, linear);
 * const pool = (pooling) => architecture.pool(pooling, hidden, weights, inputs, linear);
 * const pooled = where(unsqueeze(usesCls, [1]), pool('cls'), pool('mean'));
 * graph.output('logits', classifyBySlot(architecture.head, pooled, values, slots));
 *
 * const adapter = await serving.read(description, bytes, base);        // and to put it into slot 3 of a stack:
 * adapter.fill(stack, sizes, elements.subarray(3 * size, 4 * size));
 * ```
 */
export interface ServingMethod {
  /** The stacks that changing `layers` takes. */
  stacks(layers: readonly LinearLayer[]): readonly Stack[];
  /** `stacks` holds the graph inputs by name; `slots` is int32 `[batch]`. The encoder's layout is `batch-first`. Layers without a stack stay plain. */
  inject(layers: readonly LinearLayer[], stacks: Parameters, slots: Value): LinearHook;
  /**
   * Reads an adapter whose description has been checked against the base model; what it gives reads on from `bytes`.
   * @throws AppError `invalid_adapter` where its numbers cannot be computed with
   */
  read(description: AdapterDescription, bytes: TensorBytes, base: BaseModel): Promise<ServedAdapter>;
}

/** One parameter-efficient method. `C` is its configuration. */
export interface PeftMethod<C> {
  /** The layers it changes, in the order of the forward pass. @throws AppError for a target that matches none. */
  layers(config: C, architecture: Architecture): readonly LinearLayer[];
  /** Everything it trains beside the classifier. */
  trainables(config: C, architecture: Architecture): readonly Trainable[];
  /** Builds the changed layers of a training or evaluation graph. */
  inject(config: C, architecture: Architecture, parameters: Parameters, dropout: Dropout): LinearHook;
  /** Probability that an element of an adapter's input is zeroed while training. */
  dropout(config: C): number;
  pooling(config: C): Pooling;
  /** The text of adapter_config.json. */
  configFile(config: C, architecture: Architecture, baseModel: string, revision: string | null): string;
}
