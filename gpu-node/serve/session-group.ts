import type { AdapterKind } from '../../shared/adapter-description.ts';
import type { BasePrecision } from '../../shared/peft-config.ts';

/** What adapters must have in common for one session to serve them. */
export interface SessionGroup {
  /** Id of the base model they were trained on. */
  readonly base: string;
  /** What it was held in: the forward that trained an adapter is the forward that serves it. */
  readonly precision: BasePrecision;
  /** What they change these layers by: a LoRA adapter does not pay for what DoRA takes. */
  readonly kind: AdapterKind;
  /** Names of the layers they change, in the order of the forward pass. */
  readonly modules: readonly string[];
}

/** A group's name, equal for equal groups alone: no part of it holds a blank. */
export function groupKey({ base, precision, kind, modules }: SessionGroup): string {
  return [base, precision, kind, ...modules].join(' ');
}
