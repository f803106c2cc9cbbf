/**
 * The process of the local edge. Miniflare ends its process on SIGINT, and a terminal's Ctrl-C would reach workerd: here
 * both are out of the starter's way, so that a node can hand its job back before the edge ends.
 */

import type { FromEdgeHost, ToEdgeHost } from './edge-process.ts';
import { type LocalEdge, startEdge } from './local-edge.ts';

/** A starter that is gone hears nothing: 'disconnect' says so. */
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
// The starter is done, or gone, whatever killed it.
process.on('disconnect', async () => {
  await edge?.stop();
  process.exit(0);
});
