import type { BasePrecision } from '../../shared/peft-config.ts';
import type { Plan } from '../parts/index.ts';
import { planName } from './plans.ts';

/** What a session is built for, or an adapter needs of one. */
export interface SessionGroup {
  /** Id of the base model they were trained on. */
  readonly base: string;
  /** What it was held in: the forward that trained an adapter is the forward that serves it. */
  readonly precision: BasePrecision;
  /** What they change: a LoRA adapter does not pay for what DoRA takes. */
  readonly plan: Plan;
}

/** Equal where one session might serve both, if its plan covered both plans. */
export function baseKey({ base, precision }: Omit<SessionGroup, 'plan'>): string {
  return `${base} ${precision}`;
}

/** A group's name, equal for equal groups alone. */
export function groupKey(group: SessionGroup): string {
  return `${baseKey(group)} ${planName(group.plan)}`;
}
