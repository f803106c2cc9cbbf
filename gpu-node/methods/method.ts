import type { AdapterDescription } from '../../shared/adapter-description.ts';
import type { Architecture, BaseModel } from '../models/model.ts';
import type { Dropout, LinearLayer, Sites } from '../models/sites.ts';
import type { LinearPartName, Plan, ServedAdapter } from '../parts/index.ts';
import type { Parameters, TensorBytes } from '../parts/part.ts';
import type { Trainable } from '../parts/trainable.ts';

/** One parameter-efficient method: which numbers there are. Where they act is a part's business. `C` is its configuration. */
export interface PeftMethod<C> {
  /** The layers it changes, in the order of the forward pass. @throws AppError for a target that matches none. */
  layers(config: C, architecture: Architecture): readonly LinearLayer[];
  /** Everything it trains beside the head. */
  trainables(config: C, architecture: Architecture): readonly Trainable[];
  /** The changed places of a training or evaluation graph; `parameters` holds the trainables. */
  sites(config: C, architecture: Architecture, parameters: Parameters, dropout: Dropout): Sites;
  /** Probability that an element of what a change reads is zeroed while training. */
  dropout(config: C): number;
  /** The text of adapter_config.json. */
  configFile(config: C, architecture: Architecture, baseModel: string, revision: string | null): string;
  /** The parts that an adapter's files need, and where; in any order. */
  plan(description: AdapterDescription): Plan;
  /**
   * Reads an adapter whose description has been checked against the base model; what it gives reads on from `bytes`.
   * @throws AppError `invalid_adapter` where its numbers cannot be computed with
   */
  load(
    description: AdapterDescription,
    bytes: TensorBytes,
    base: BaseModel,
  ): Promise<Pick<ServedAdapter, LinearPartName>>;
}
