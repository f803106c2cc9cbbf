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
export class DeadlinePassed extends AppError {
  constructor(milliseconds: number) {
    super(
      'no_capacity',
      `the texts were not answered within the ${milliseconds} ms that their caller waits`,
      {
        retryAfter: 1,
      },
    );
  }
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
