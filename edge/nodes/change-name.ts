import type { NameChange } from '../../shared/api/nodes.ts';
import { SERVING_LEASE_SECONDS } from '../../shared/job-state.ts';
import { unixNow } from '../clock.ts';
import { proposeChange, settleChange } from '../db/changes.ts';
import type { Db } from '../db/client.ts';
import { liveNodes } from '../db/nodes.ts';
import type { NodeClient } from './node-client.ts';
import { untilKnown } from './until-known.ts';

/** The lease, and a margin for clocks that do not run alike. */
const LEASES_END_MS = SERVING_LEASE_SECONDS * 1000 + 500;

/**
 * Makes a change to what a tenant's name resolves to by `make`, whose statements `isPending` guards. Every node that may
 * answer knows of it first, so a request that begins after this returns is answered by what is now, whatever an isolate
 * remembers: docs/architecture.md says why.
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
    // Read after the proposal: a node whose heartbeat comes later hears of it in the answer.
    const nodes = await liveNodes(db, unixNow());
    await untilKnown(client, nodes, change, AbortSignal.timeout(LEASES_END_MS));
    return await make(change);
  } finally {
    // What fails here the cron does.
    await settleChange(db, change.seq).catch(() => {});
  }
}
