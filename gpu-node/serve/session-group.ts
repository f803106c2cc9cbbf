import type { BasePrecision } from '../../shared/peft-config.ts';
import type { Plan } from '../parts/index.ts';
import { planName } from './plans.ts';

/** The kind of a session, or the kind that an adapter needs. */
export interface SessionGroup {
  /** Id of the base model of its adapters. */
  readonly base: string;
  /** Precision of the base model: the forward that trained an adapter is the forward that serves it. */
  readonly precision: BasePrecision;
  /** Places that its adapters change: a LoRA adapter does not pay for DoRA's. */
  readonly plan: Plan;
}

/** A key that is equal if one session might serve both, given a plan that covers both. */
export function baseKey({ base, precision }: Omit<SessionGroup, 'plan'>): string {
  return `${base} ${precision}`;
}

/** A group's name; equal names mean equal groups. */
export function groupKey(group: SessionGroup): string {
  return `${baseKey(group)} ${planName(group.plan)}`;
}
