import { AppError } from '../../shared/errors.ts';

// Errors for a moment without a node that answers. Each passes, so each says when to try again.

const RETRY_AFTER_SECONDS = 2;

/** The error where no live node has the base model. */
export function noNode(baseModel: string, cause?: Error): AppError {
  const message = `No node alive serves the base model ${baseModel}; try again shortly.`;
  return new AppError('no_capacity', message, { retryAfter: RETRY_AFTER_SECONDS, cause });
}

/** The error where the nodes that have the base model do not answer. */
export function noAnswer(baseModel: string, cause: unknown): AppError {
  const message = `No node that serves the base model ${baseModel} has answered; try again shortly.`;
  return new AppError('no_capacity', message, { retryAfter: RETRY_AFTER_SECONDS, cause });
}

/** The error where the client's time was over before a node was asked. */
export function tooLate(): AppError {
  const message = 'The time of X-Timeout-Ms was over before a node could be asked; give more, or try again.';
  return new AppError('no_capacity', message, { retryAfter: RETRY_AFTER_SECONDS });
}
