import { ConfigError, readConfig } from './config.ts';
import { createLog, explain } from './log.ts';
import { startNode } from './node.ts';

/** What a drain may take before the process ends regardless; a supervisor's patience is usually 10 s. */
const DRAIN_LIMIT_MS = 9000;

const log = createLog(process.stdout, process.stdout.isTTY === true);

try {
  const node = await startNode(readConfig(process.env), log);
  let stopping = false;
  const stop = async (reason: string) => {
    if (stopping) return;
    stopping = true;
    log.info('drains', { reason });
    setTimeout(() => {
      log.warn('the drain took too long');
      process.exit(0);
    }, DRAIN_LIMIT_MS).unref();
    await node.stop();
    log.info('ends');
    process.exit(0);
  };
  process.on('SIGTERM', (signal) => void stop(signal));
  process.on('SIGINT', (signal) => void stop(signal));
  // Whoever started the daemon with a channel is gone, whatever ended it.
  process.on('disconnect', () => void stop('the starter is gone'));
  await node.registered;
  if (!stopping) log.info('registered', { id: node.id });
  // What the starter waits for.
  process.send?.('registered');
} catch (error) {
  log.error(error instanceof ConfigError ? error.message : `the node cannot start: ${explain(error)}`);
  process.exit(1);
}
