import { AppError } from '../../shared/errors.ts';

/** Settles like the promise, or rejects with the signal's reason as soon as it is aborted. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** The abort reason of a request whose caller no longer waits. */
export class DeadlinePassed extends Error {
  override name = 'DeadlinePassed';
  readonly milliseconds: number;

  constructor(milliseconds: number) {
    super(`the caller waits for ${milliseconds} ms`);
    this.milliseconds = milliseconds;
  }
}

/** Progress of a request until its deadline, and the node's other load. */
export interface Progress {
  /** Milliseconds that the caller gave it. */
  milliseconds: number;
  /** Number of tokens of its texts, and of the texts that were run. */
  tokens: number;
  tokensRun: number;
  /** Seconds per token at the node's present pace. */
  secondsPerToken: number;
  /** Tokens of other requests that wait or run. */
  others: number;
}

const MAX_RETRY_SECONDS = 60;

/**
 * The error of a request after its deadline: `deadline_too_short` if it takes longer than that even on this node alone, so that its caller
 * must ask for less or wait longer; otherwise `no_capacity`, until the texts of others are done.
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

/** Runs something that ends with the caller's signal, or after `milliseconds` if given. */
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
