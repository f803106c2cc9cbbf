import type { Progress } from '../../shared/api/jobs.ts';
import { AppError, type ErrorCode } from '../../shared/errors.ts';
import { runJob } from './job.ts';
import { type FromTrainer, type TrainingSpec, toTrainer } from './protocol.ts';

/*
 * A training process takes one `start` message, reports, and ends. It stops within a step when told to, on SIGTERM, and when the daemon
 * that forked it is gone. It saves its state before it ends.
 */

/** Milliseconds between two reports of progress. */
const REPORT_INTERVAL_MS = 250;
/**
 * Errors that are shown to the user unchanged; true if another attempt may end better. Errors of the request or its data stay, but a full
 * disk is the node's own.
 */
const RETRYABLE: Readonly<Partial<Record<ErrorCode, boolean>>> = {
  invalid_request: false,
  invalid_dataset: false,
  training_failed: false,
  no_capacity: true,
};

const controller = new AbortController();
const stop = () => controller.abort(new Error('stopped'));
process.on('SIGTERM', stop);
process.on('disconnect', stop);
process.on('message', (raw) => {
  const message = toTrainer.parse(raw);
  if (message.type === 'stop') stop();
  else start(message.spec);
});

async function start(spec: TrainingSpec): Promise<void> {
  try {
    const done = await runJob(spec, {
      signal: controller.signal,
      onResolved: (resolved) => report({ type: 'resolved', resolved }),
      onProgress: throttle((progress) => report({ type: 'progress', progress })),
      onEvent: (event) => report({ type: 'event', event }),
      onCheckpoint: () => report({ type: 'checkpoint' }),
    });
    await report(done);
  } catch (error) {
    if (!controller.signal.aborted) await report(failureOf(error));
  }
  if (process.connected) process.disconnect();
}

/** Resolves once the daemon's side has the message; it also resolves if the daemon is gone. */
function report(message: FromTrainer): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected) process.send!(message, undefined, undefined, () => resolve());
    else resolve();
  });
}

/** Passes the first and the last report, and otherwise one per interval. */
function throttle(pass: (progress: Progress) => void): (progress: Progress) => void {
  let passed = Number.NEGATIVE_INFINITY;
  return (progress) => {
    const now = performance.now();
    if (now - passed < REPORT_INTERVAL_MS && progress.step < progress.steps) return;
    passed = now;
    pass(progress);
  };
}

/** The part of an error that the user may read; the rest goes to stderr, which the daemon logs. */
function failureOf(error: unknown): FromTrainer {
  console.error(error);
  const retryable = error instanceof AppError ? RETRYABLE[error.code] : undefined;
  if (error instanceof AppError && retryable !== undefined) {
    const { code, message } = error;
    return { type: 'failed', error: { code, message }, retryable };
  }
  const message = 'training stopped on an internal error of the node';
  return { type: 'failed', error: { code: 'internal_error', message }, retryable: true };
}
