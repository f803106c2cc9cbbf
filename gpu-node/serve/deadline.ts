import { AppError } from '../../shared/errors.ts';

/** The promise, or the signal's reason as soon as it is aborted. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** Why a request ends that its caller no longer waits for. */
export class DeadlinePassed extends Error {
  override name = 'DeadlinePassed';
  readonly milliseconds: number;

  constructor(milliseconds: number) {
    super(`the caller waits for ${milliseconds} ms`);
    this.milliseconds = milliseconds;
  }
}

/** How far a request came until its deadline, and what it shared the node with. */
export interface Progress {
  /** What its caller gave it. */
  milliseconds: number;
  /** Of its texts, and of those that were run. */
  tokens: number;
  tokensRun: number;
  /** What a token takes at the node's present pace. */
  secondsPerToken: number;
  /** Tokens of others that wait, or run. */
  others: number;
}

const MAX_RETRY_SECONDS = 60;

/**
 * What becomes of a request whose deadline has passed: `deadline_too_short` where it takes longer than that on this node alone, so that its
 * caller must ask for less or wait longer; else `no_capacity`, until what others wait for is done.
 */
export function deadlineProblem({ milliseconds, tokens, tokensRun, ...node }: Progress): AppError {
  const what = `the texts were not answered within ${milliseconds} ms: ${tokensRun} of their ${tokens} tokens were`;
  const seconds = tokens * node.secondsPerToken;
  if (1000 * seconds > milliseconds) {
    const pace = `at the ${Math.round(1 / node.secondsPerToken)} tokens a second that this node does they take some ${Math.ceil(seconds)} s`;
    const way =
      'send fewer texts at once, or give more time by X-Timeout-Ms, half of which a node has where another can take over';
    return new AppError('deadline_too_short', `${what}; ${pace}: ${way}`, { param: 'x-timeout-ms' });
  }
  const retryAfter = Math.ceil(node.others * node.secondsPerToken);
  return new AppError('no_capacity', `${what}, beside ${node.others} tokens of others; try again shortly`, {
    retryAfter: Math.min(MAX_RETRY_SECONDS, Math.max(1, retryAfter)),
  });
}

/** Does something that ends with the caller's signal, or `milliseconds` from now where they are given. */
export async function within<T>(
  milliseconds: number | undefined,
  caller: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (milliseconds === undefined) return work(caller);
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(new DeadlinePassed(milliseconds)), milliseconds);
  try {
    return await work(AbortSignal.any([caller, deadline.signal]));
  } finally {
    clearTimeout(timer);
  }
}
