import { adapterRef, parseAdapterRef } from '../../shared/api/common.ts';
import { AppError } from '../../shared/errors.ts';
import { unixNow } from '../clock.ts';
import { deleteAdapters } from '../db/adapter-deletion.ts';
import { findAdapter } from '../db/adapters.ts';
import { findAliasesOn } from '../db/aliases.ts';
import type { Db } from '../db/client.ts';
import { liveNodes } from '../db/nodes.ts';
import type { Env } from '../env.ts';
import { changeName } from '../nodes/change-name.ts';
import type { NodeClient } from '../nodes/node-client.ts';
import { deleteObjects } from '../objects/delete-objects.ts';

/**
 * Deletes a version, or all versions of a name, from the database, the object store and the nodes. When this returns, no
 * node answers for it any more. Returns whether there was anything to delete.
 * @throws {AppError} `adapter_in_use` where an alias names it
 */
export async function removeAdapter(
  env: Env,
  db: Db,
  client: NodeClient,
  tenant: string,
  ref: string,
): Promise<boolean> {
  const exists = async () =>
    adapterRef.safeParse(ref).success && (await findAdapter(db, tenant, ref)) !== undefined;
  if (!(await exists())) return false;
  await refuseNamed(db, tenant, ref);
  const { name } = parseAdapterRef(ref);
  const deleted = await changeName(client, db, tenant, name, ({ seq }) =>
    deleteAdapters(db, tenant, ref, seq, unixNow()),
  );
  if (!deleted) {
    await refuseNamed(db, tenant, ref);
    // Another deletion was faster, or the nodes took so long to tell that the change was given up.
    if (await exists()) {
      throw new AppError('no_capacity', `${ref} could not be deleted now; try again.`, { retryAfter: 2 });
    }
    return false;
  }
  const { keys, bundles } = deleted;
  await Promise.all([deleteObjects(env, db, keys), evictEverywhere(db, client, bundles)]);
  return true;
}

/** @throws {AppError} `adapter_in_use` where an alias names the version, or any version of a bare name */
async function refuseNamed(db: Db, tenant: string, ref: string): Promise<void> {
  const [named] = await findAliasesOn(db, tenant, ref);
  if (!named) return;
  const { name, alias, version } = named;
  const path = `/v1/adapters/${name}/aliases/${alias}`;
  throw new AppError(
    'adapter_in_use',
    `${name}@${alias} names ${name}@${version}: point it elsewhere (PUT ${path}) or delete it (DELETE ${path}) first.`,
  );
}

/** Frees the nodes' copies. A node that this call does not reach learns of it from its next heartbeat. */
async function evictEverywhere(db: Db, client: NodeClient, bundles: string[]): Promise<void> {
  if (bundles.length === 0) return;
  const nodes = await liveNodes(db, unixNow());
  await Promise.all(nodes.map((node) => client.evict(node, bundles)));
}
