import { MAX_ALIASES } from '../../shared/api/aliases.ts';
import { AppError } from '../../shared/errors.ts';
import { unixNow } from '../clock.ts';
import { findAdapter } from '../db/adapters.ts';
import {
  type AliasKey,
  type AliasRow,
  aliasesOf,
  deleteAlias,
  findAlias,
  type Making,
  rollBackAlias,
  setAlias,
  versionBefore,
} from '../db/aliases.ts';
import type { ClientKey } from '../db/api-keys.ts';
import type { Db } from '../db/client.ts';
import { whyNotServable } from '../inference/resolve-adapters.ts';
import { changeName } from '../nodes/change-name.ts';
import type { NodeClient } from '../nodes/node-client.ts';

// What an alias names is part of what its adapter's name resolves to, so it changes as that does, and is never stale.

/** An alias, and who changes it. */
export interface Change {
  db: Db;
  client: Pick<NodeClient, 'tellChanges'>;
  key: AliasKey;
  by: ClientKey;
}

/** Points an alias to a version; it is made if there is none. When this returns, no node answers it by what it named before. */
export async function pointAlias(change: Change, version: number): Promise<AliasRow> {
  const { db, key } = change;
  await requireReady(db, key, version, 'version');
  await requireRoom(db, key);
  if (!(await make(change, (making) => setAlias(db, key, version, making)))) {
    await requireReady(db, key, version, 'version');
    await requireRoom(db, key);
    throw notNow(key);
  }
  return readAlias(db, key);
}

/** Points an alias to what it named before its last change; once more, to what it named before that. */
export async function revertAlias(change: Change): Promise<AliasRow> {
  const { db, key } = change;
  await requireBefore(db, key);
  if (!(await make(change, (making) => rollBackAlias(db, key, making)))) {
    await requireBefore(db, key);
    throw notNow(key);
  }
  return readAlias(db, key);
}

/** Deletes an alias; its history stays. */
export async function removeAlias(change: Change): Promise<void> {
  const { db, key } = change;
  await readAlias(db, key);
  if (await make(change, (making) => deleteAlias(db, key, making))) return;
  await readAlias(db, key);
  throw notNow(key);
}

/** @throws {AppError} `alias_not_found` */
export async function readAlias(db: Db, key: AliasKey): Promise<AliasRow> {
  const found = await findAlias(db, key);
  if (!found) throw unknownAlias(key);
  return found;
}

export function unknownAlias({ name, alias }: AliasKey): AppError {
  return new AppError('alias_not_found', `There is no alias ${name}@${alias}.`);
}

function make({ db, client, key, by }: Change, set: (making: Making) => Promise<boolean>): Promise<boolean> {
  const { id, name } = by;
  return changeName(client, db, key.tenant, key.name, ({ seq }) =>
    set({ change: seq, by: { key: id, name }, now: unixNow() }),
  );
}

async function requireReady(
  db: Db,
  { tenant, name }: AliasKey,
  version: number,
  param: string,
): Promise<void> {
  const ref = `${name}@${version}`;
  const row = await findAdapter(db, tenant, ref);
  if (!row?.adapter.bundle) throw await whyNotServable(db, tenant, ref, param);
}

async function requireRoom(db: Db, { tenant, name, alias }: AliasKey): Promise<void> {
  const there = await aliasesOf(db, tenant, name);
  if (there.length < MAX_ALIASES || there.some((row) => row.alias === alias)) return;
  const message = `${name} has ${MAX_ALIASES} aliases, which is the most: delete one first.`;
  throw new AppError('limit_reached', message);
}

async function requireBefore(db: Db, key: AliasKey): Promise<void> {
  const { name, alias, version } = await readAlias(db, key);
  const before = await versionBefore(db, key);
  if (before === undefined) {
    const message = `${name}@${alias} has named nothing else before ${name}@${version}.`;
    throw new AppError('nothing_to_roll_back', message);
  }
  if (await findAdapter(db, key.tenant, `${name}@${before}`)) return;
  const message = `${name}@${alias} named ${name}@${before} before, which has been deleted: point it to a version by PUT.`;
  throw new AppError('nothing_to_roll_back', message);
}

/** The nodes took so long to tell that the change was given up. */
function notNow({ name, alias }: AliasKey): AppError {
  return new AppError('no_capacity', `${name}@${alias} could not be changed now; try again.`, {
    retryAfter: 2,
  });
}
