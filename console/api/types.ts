// The types of the schemas that `/openapi.json` is made from. Types alone: the schemas themselves would bring zod into the page.
import type { z } from 'zod';
import type { problemBody } from '../../shared/api/common.ts';
import type { baseModelObject } from '../../shared/api/inference.ts';

export type { Adapter } from '../../shared/api/adapters.ts';
export type { Alias, AliasChange } from '../../shared/api/aliases.ts';
export type { File as Dataset } from '../../shared/api/datasets.ts';
export type { Fleet, FleetJob, FleetNode } from '../../shared/api/fleet.ts';
export type { Classification, ClassifyResponse, Model } from '../../shared/api/inference.ts';
export type { Job, JobEvent } from '../../shared/api/jobs.ts';
export type { ValidationMetrics } from '../../shared/metrics.ts';
export type ProblemBody = z.infer<typeof problemBody>;
export type BaseModel = z.infer<typeof baseModelObject>;

/** A page of a list, or several in a row. */
export interface List<T> {
  data: T[];
  has_more: boolean;
  last_id: string | null;
}
