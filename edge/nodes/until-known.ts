import type { NameChange } from '../../shared/api/nodes.ts';
import type { LiveNode } from '../base-models.ts';
import type { NodeClient } from './node-client.ts';

const TELL_AGAIN_MS = 250;

/** Resolves when every node has acknowledged the change, or when `leases` is aborted because every lease from before it has ended. */
export async function untilKnown(
  client: Pick<NodeClient, 'tellChanges'>,
  nodes: readonly LiveNode[],
  change: NameChange,
  leases: AbortSignal,
): Promise<void> {
  const over = new Promise<void>((resolve) => {
    if (leases.aborted) resolve();
    leases.addEventListener('abort', () => resolve(), { once: true });
  });
  const told = nodes.map(async (node) => {
    while (!leases.aborted && !(await client.tellChanges(node, [change]))) {
      await new Promise((resolve) => setTimeout(resolve, TELL_AGAIN_MS));
    }
  });
  await Promise.race([over, Promise.all(told)]);
}
