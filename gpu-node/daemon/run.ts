import { createLog, explain } from '../log.ts';
import { ConfigError, readConfig } from './config.ts';
import { type RunningNode, startNode } from './node.ts';

/** Milliseconds after which a drain is cut off: a supervisor usually waits 10 s. */
const DRAIN_LIMIT_MS = 9000;

const log = createLog(process.stdout, process.stdout.isTTY === true);

/**
 * Keeps the daemon running after an unhandled error. Such an error is a fault in one job, upload or connection, most likely in a library's
 * events, so the daemon logs it and everything else goes on. Training processes and worker threads end on theirs; the daemon handles that.
 */
function goOnAfterErrors(): void {
  process.on('uncaughtException', (error: unknown, origin) => {
    const stack = error instanceof Error ? error.stack : undefined;
    log.error('an error that nothing handled', { origin, reason: explain(error), ...(stack && { stack }) });
  });
}

let node: RunningNode | undefined;
let stopping = false;

async function stop(reason: string): Promise<void> {
  if (stopping) return;
  stopping = true;
  log.info('drains', { reason });
  setTimeout(() => {
    log.warn('the drain took too long');
    process.exit(0);
  }, DRAIN_LIMIT_MS).unref();
  try {
    await node?.stop();
    log.info('ends');
  } catch (error) {
    log.error('the drain failed', { reason: explain(error) });
  }
  process.exit(0);
}

// The handlers come first, because the first process of a container ignores signals that it does not handle.
process.on('SIGTERM', (signal) => void stop(signal));
process.on('SIGINT', (signal) => void stop(signal));
// A starter that opened a channel is gone when the channel closes, whatever ended it.
process.on('disconnect', () => void stop('the starter is gone'));

try {
  node = await startNode(readConfig(process.env), log);
  goOnAfterErrors();
  await node.registered;
  if (!stopping) log.info('registered', { id: node.id });
  // The starter, if it is still there, waits for this message.
  process.send?.('registered', undefined, undefined, () => {});
} catch (error) {
  log.error(error instanceof ConfigError ? error.message : `the node cannot start: ${explain(error)}`);
  process.exit(1);
}
