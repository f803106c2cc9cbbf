import type { DescriptionOf } from '../../shared/adapter-description.ts';
import type { Family } from '../../shared/families.ts';
import type { ConfigOf, MethodType } from '../../shared/formats/index.ts';
import type { CommonField, PeftRequest } from '../../shared/peft-config.ts';
import type { Architecture, BaseModel } from '../models/model.ts';
import type { Dropout, LinearLayer, Sites } from '../models/sites.ts';
import type { LinearPartName, Plan, ServedAdapter } from '../parts/index.ts';
import type { Parameters, TensorBytes } from '../parts/part.ts';
import type { Trainable } from '../parts/trainable.ts';

/** What a request gives of a field, or else what is chosen for it. */
export function given<T>(value: T | 'auto', automatic: T): T {
  return value === 'auto' ? automatic : value;
}

/** One parameter-efficient method, `M` its type: which numbers there are. Where they act is a part's business. */
export interface PeftMethod<M extends MethodType> {
  /** Replaces every `"auto"` of its own fields. */
  resolve(request: Extract<PeftRequest, { type: M }>, family: Family): Omit<ConfigOf<M>, CommonField>;
  /** What `learning_rate: "auto"` comes to. */
  readonly learningRate: number;
  /** The layers it changes, in the order of the forward pass. @throws AppError for a target that matches none. */
  layers(config: ConfigOf<M>, architecture: Architecture): readonly LinearLayer[];
  /** Everything it trains beside the head. */
  trainables(config: ConfigOf<M>, architecture: Architecture): readonly Trainable[];
  /** The changed places of a training or evaluation graph; `parameters` holds the trainables. */
  sites(config: ConfigOf<M>, architecture: Architecture, parameters: Parameters, dropout: Dropout): Sites;
  /** Probability that an element of what a change reads is zeroed while training. */
  dropout(config: ConfigOf<M>): number;
  /** The parts that an adapter's files need, and where; in any order. */
  plan(description: DescriptionOf<M>): Plan;
  /**
   * Reads an adapter whose description has been checked against the base model; what it gives reads on from `bytes`.
   * @throws AppError `invalid_adapter` where its numbers cannot be computed with
   */
  load(
    description: DescriptionOf<M>,
    bytes: TensorBytes,
    base: BaseModel,
  ): Promise<Pick<ServedAdapter, LinearPartName>>;
}
