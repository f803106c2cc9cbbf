import { AppError } from '../../shared/errors.ts';

// What a client is told where no node answers for now; each passes, so it says when to try again.

const RETRY_AFTER_SECONDS = 2;

/** No node alive has the base model. */
export function noNode(baseModel: string, cause?: Error): AppError {
  const message = `No node alive serves the base model ${baseModel}; try again shortly.`;
  return new AppError('no_capacity', message, { retryAfter: RETRY_AFTER_SECONDS, cause });
}

/** The nodes that have it do not answer. */
export function noAnswer(baseModel: string, cause: unknown): AppError {
  const message = `No node that serves the base model ${baseModel} has answered; try again shortly.`;
  return new AppError('no_capacity', message, { retryAfter: RETRY_AFTER_SECONDS, cause });
}

/** The client's time was over before a node was asked. */
export function tooLate(): AppError {
  const message = 'The time of X-Timeout-Ms was over before a node could be asked; give more, or try again.';
  return new AppError('no_capacity', message, { retryAfter: RETRY_AFTER_SECONDS });
}
