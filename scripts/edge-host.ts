/**
 * The process of the local edge. Miniflare ends its process on SIGINT, and a terminal's Ctrl-C would reach workerd. In a process of their
 * own neither disturbs the starter, so a node can hand its job back before the edge ends.
 */

import type { FromEdgeHost, ToEdgeHost } from './edge-process.ts';
import { type LocalEdge, startEdge } from './local-edge.ts';

/** Sends a message to the starter. A failure is ignored: 'disconnect' tells that the starter is gone. */
const tell = (message: FromEdgeHost) => void process.send?.(message, undefined, undefined, () => {});
let edge: LocalEdge | undefined;

async function answer(message: ToEdgeHost): Promise<void> {
  if (message.type === 'start') {
    edge = await startEdge(message.options);
    tell({ type: 'ready', url: edge.url });
  } else if (message.type === 'cron') {
    await edge?.runCron();
    tell({ type: 'cron-done' });
  }
}

process.on('message', (message: ToEdgeHost) => {
  answer(message).catch((error) =>
    tell({ type: 'failed', message: error instanceof Error ? error.message : String(error) }),
  );
});
// 'disconnect' means that the starter is done or was killed.
process.on('disconnect', async () => {
  await edge?.stop();
  process.exit(0);
});
