import { setTimeout as sleep } from 'node:timers/promises';

export interface RetryPolicy {
  attempts: number;
  /** Milliseconds before the second attempt; they double with each further one. */
  base: number;
  max: number;
}

/**
 * Repeats an idempotent `action` until it succeeds, with exponential back-off and full jitter: every wait is drawn from [0, cap), so that
 * nodes which lost the edge together do not come back together.
 * @throws the last error; at once if `isTransient` says that trying again cannot help, or `signal` is aborted.
 */
export async function retry<T>(
  policy: RetryPolicy,
  action: (attempt: number) => Promise<T>,
  isTransient: (error: unknown) => boolean,
  signal?: AbortSignal,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await action(attempt);
    } catch (error) {
      if (attempt >= policy.attempts || signal?.aborted || !isTransient(error)) throw error;
      const cap = Math.min(policy.max, policy.base * 2 ** (attempt - 1));
      await sleep(Math.random() * cap, undefined, { ...(signal && { signal }), ref: false }).catch(() => {
        throw error;
      });
    }
  }
}
