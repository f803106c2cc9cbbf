import { join } from 'node:path';
import { ADAPTER_WEIGHTS_FILE } from '../../shared/adapter-format.ts';
import type { BasePrecision } from '../../shared/peft-config.ts';
import type { BaseModelSource } from '../models/open-base-model.ts';
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
  /** The bundle whose weights are served in place of the base model's, where it is a whole model; undefined for adapters. */
  readonly model?: string;
}

/** A key that is equal if one session might serve both, given a plan that covers both. */
export function baseKey({ base, precision, model }: Omit<SessionGroup, 'plan'>): string {
  return model ? `${base} ${precision} ${model}` : `${base} ${precision}`;
}

/**
 * What the sessions of a sort are built on. A whole model's weights are read from where adapters are kept on disk, `cache`, and its weight file
 * lies beside them, so that it goes when they do.
 */
export function sourceOf(
  { base, model }: Pick<SessionGroup, 'base' | 'model'>,
  bases: ReadonlyMap<string, BaseModelSource>,
  cache: string,
): BaseModelSource {
  const source = bases.get(base)!;
  if (model === undefined) return source;
  const folder = join(cache, model);
  return { ...source, sha256: model, weightsFolder: folder, file: join(folder, ADAPTER_WEIGHTS_FILE) };
}

/** A group's name; equal names mean equal groups. */
export function groupKey(group: SessionGroup): string {
  return `${baseKey(group)} ${planName(group.plan)}`;
}
