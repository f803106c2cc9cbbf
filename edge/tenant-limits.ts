import type { Env } from './env.ts';

/** What a tenant may do; 0 is without a limit. */
export interface TenantLimits {
  requestsPerMinute: number;
  tokensPerMinute: number;
  queuedJobs: number;
  storedBytes: number;
}

/** A tenant's own limits; null is as the edge is set. */
export type OwnLimits = { [Name in keyof TenantLimits]: number | null };

type Settings = Pick<
  Env,
  'MAX_REQUESTS_PER_MINUTE' | 'MAX_TOKENS_PER_MINUTE' | 'MAX_QUEUED_JOBS' | 'MAX_STORED_BYTES'
>;

/** A tenant's limits: its own, and else the edge's. A setting may be a text where somebody set it by hand or with another tool. */
export function limitsOf(env: Settings, own: OwnLimits): TenantLimits {
  return {
    requestsPerMinute: own.requestsPerMinute ?? Number(env.MAX_REQUESTS_PER_MINUTE),
    tokensPerMinute: own.tokensPerMinute ?? Number(env.MAX_TOKENS_PER_MINUTE),
    queuedJobs: own.queuedJobs ?? Number(env.MAX_QUEUED_JOBS),
    storedBytes: own.storedBytes ?? Number(env.MAX_STORED_BYTES),
  };
}
