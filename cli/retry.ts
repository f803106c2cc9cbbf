import type { Failure } from './failure.ts';

const ATTEMPTS = 3;
const FIRST_WAIT_MS = 500;
/** The longest that a command waits by itself when it is told when to come again; beyond, it ends and says so. */
const LONGEST_WAIT_MS = 10_000;

/** Milliseconds to wait before the attempt after this one (from 1); undefined where the command should give up. */
export function waitAfter(failure: Failure, attempt: number): number | undefined {
  if (failure.exit !== 'transient' || attempt >= ATTEMPTS) return undefined;
  const told = failure.retryAfter === undefined ? undefined : failure.retryAfter * 1000;
  if (told !== undefined && told > LONGEST_WAIT_MS) return undefined;
  return told ?? FIRST_WAIT_MS * 2 ** (attempt - 1);
}
