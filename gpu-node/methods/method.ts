import type { DescriptionOf } from '../../shared/adapter-description.ts';
import type { ConfigOf, MethodType } from '../../shared/methods/index.ts';
import type { CommonField, PeftRequest, Pooling } from '../../shared/peft-config.ts';
import type { Architecture, BaseModel } from '../models/model.ts';
import type { Dropout, Sites } from '../models/sites.ts';
import type { Plan, ServedParts } from '../parts/index.ts';
import type { Parameters, TensorBytes } from '../parts/part.ts';
import type { Trainable } from '../parts/trainable.ts';
import type { BaseWeights } from '../precision/precision.ts';

/** What a request gives of a field, or else what is chosen for it. */
export function given<T>(value: T | 'auto', automatic: T): T {
  return value === 'auto' ? automatic : value;
}

/** One parameter-efficient method, `M` its type: which numbers there are. Where they act is a part's business. */
export interface PeftMethod<M extends MethodType> {
  /** Replaces every `"auto"` of its own fields. */
  resolve(
    request: Extract<PeftRequest, { type: M }>,
    architecture: Architecture,
  ): Omit<ConfigOf<M>, CommonField>;
  /**
   * The names of the modules that it changes, in the order of the forward pass; none where its files name none.
   * @throws AppError `invalid_request`, at the field, for what the base model has no place for
   */
  modules(config: ConfigOf<M>, architecture: Architecture): readonly string[];
  /** Which field decides how large its file is, and what to do where that is too large. */
  readonly toShrink: { readonly field: string; readonly way: string };
  /** Everything it trains beside the head. */
  trainables(config: ConfigOf<M>, architecture: Architecture): readonly Trainable[];
  /** The changed places of a training or evaluation graph; `parameters` holds the trainables. */
  sites(config: ConfigOf<M>, architecture: Architecture, parameters: Parameters, dropout: Dropout): Sites;
  /** Probability that an element of what a change reads is zeroed while training. */
  dropout(config: ConfigOf<M>): number;
  /** Whether its virtual tokens are of the batch, where placeholders among a text's ids keep their places. */
  readonly placeholders?: true;
  /** What the file holds where that is not what was trained, by name and computed once at the end; `parameters` holds the trainables. */
  saved?(config: ConfigOf<M>, architecture: Architecture, parameters: Parameters): Parameters;
  /** The parts that an adapter's files need, and where; in any order. */
  plan(description: DescriptionOf<M>, architecture: Architecture): Plan;
  /**
   * Reads an adapter whose description has been checked against the base model; what it gives reads on from `bytes`.
   * @throws AppError `invalid_adapter` where its numbers cannot be computed with
   */
  load(description: DescriptionOf<M>, bytes: TensorBytes, base: BaseModel): Promise<ServedParts>;
  /** Where it trains the base model itself, so that its files hold a model that is served in its place. */
  readonly wholeModel?: WholeModel<M>;
}

interface WholeModel<M extends MethodType> {
  /** The base model's weights in a training or evaluation graph; `parameters` holds the trainables. */
  weights(parameters: Parameters): BaseWeights;
  /** @throws AppError `invalid_adapter` where a file's tensors are not the base model's, in name or shape */
  check(description: DescriptionOf<M>, architecture: Architecture, pooling: Pooling, what: string): void;
}
