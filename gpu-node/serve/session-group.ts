import type { BasePrecision } from '../../shared/peft-config.ts';
import { PART_NAMES, type Plan } from '../parts/index.ts';

/** What adapters must have in common for one session to serve them. */
export interface SessionGroup {
  /** Id of the base model they were trained on. */
  readonly base: string;
  /** What it was held in: the forward that trained an adapter is the forward that serves it. */
  readonly precision: BasePrecision;
  /** What they change: a LoRA adapter does not pay for what DoRA takes. */
  readonly plan: Plan;
}

/** A group's name, equal for equal groups alone: no part of it holds a blank. */
export function groupKey({ base, precision, plan }: SessionGroup): string {
  const parts = PART_NAMES.map((part) => [part, ...(plan[part] ?? [])].join(','));
  return [base, precision, ...parts].join(' ');
}
