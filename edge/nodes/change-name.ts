import type { NameChange } from '../../shared/api/nodes.ts';
import { SERVING_LEASE_SECONDS } from '../../shared/job-state.ts';
import { unixNow } from '../clock.ts';
import { proposeChange, settleChange } from '../db/changes.ts';
import type { Db } from '../db/client.ts';
import { liveNodes } from '../db/nodes.ts';
import type { NodeClient } from './node-client.ts';
import { untilKnown } from './until-known.ts';

/** Milliseconds after which every lease has ended: its length, and a margin for clocks that differ. */
const LEASES_END_MS = SERVING_LEASE_SECONDS * 1000 + 500;

/**
 * Changes what a tenant's name resolves to, by `make`, whose statements `isPending` guards. Every node that may answer learns of it first,
 * so a request that begins after this returns gets the new state whatever an isolate remembers: docs/architecture.md says why.
 */
export async function changeName<T>(
  client: Pick<NodeClient, 'tellChanges'>,
  db: Db,
  tenant: string,
  name: string,
  make: (change: NameChange) => Promise<T>,
): Promise<T> {
  const change = await proposeChange(db, tenant, name, unixNow());
  try {
    // The nodes are read after the proposal: a node whose heartbeat comes later hears of the change in the answer.
    const nodes = await liveNodes(db, unixNow());
    await untilKnown(client, nodes, change, AbortSignal.timeout(LEASES_END_MS));
    return await make(change);
  } finally {
    // The cron settles the change if this fails.
    await settleChange(db, change.seq).catch(() => {});
  }
}
