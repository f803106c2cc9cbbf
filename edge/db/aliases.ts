import { and, asc, eq, isNotNull, type SQL, sql } from 'drizzle-orm';
import {
  type Alias,
  type AliasChange,
  type ChangedBy,
  MAX_ALIAS_CHANGES,
  MAX_ALIASES,
} from '../../shared/api/aliases.ts';
import { parseAdapterRef } from '../../shared/api/common.ts';
import { isPending } from './changes.ts';
import { batch, type Db, statement } from './client.ts';
import { beyond, byAge, type Paging } from './paging.ts';
import { adapterAliases, adapters, aliasChanges } from './schema.ts';

export type AliasRow = typeof adapterAliases.$inferSelect;
type ChangeRow = typeof aliasChanges.$inferSelect;

/** An alias of a tenant's adapter. */
export interface AliasKey {
  tenant: string;
  name: string;
  alias: string;
}

/** The version that an alias names, within another statement; null where there is no such alias. */
export function aliased(tenant: SQL, name: SQL, alias: SQL): SQL {
  return sql`(SELECT l.version FROM ${adapterAliases} AS l
    WHERE l.tenant = ${tenant} AND l.name = ${name} AND l.alias = ${alias})`;
}

const isAlias = ({ tenant, name, alias }: AliasKey) =>
  and(eq(adapterAliases.tenant, tenant), eq(adapterAliases.name, name), eq(adapterAliases.alias, alias))!;
const changesOf = ({ tenant, name, alias }: AliasKey) =>
  and(eq(aliasChanges.tenant, tenant), eq(aliasChanges.name, name), eq(aliasChanges.alias, alias))!;

export async function findAlias(db: Db, key: AliasKey): Promise<AliasRow | undefined> {
  const rows = await db.select().from(adapterAliases).where(isAlias(key));
  return rows[0];
}

/** All aliases of an adapter, by name. */
export async function aliasesOf(db: Db, tenant: string, name: string): Promise<AliasRow[]> {
  return db
    .select()
    .from(adapterAliases)
    .where(and(eq(adapterAliases.tenant, tenant), eq(adapterAliases.name, name)))
    .orderBy(asc(adapterAliases.alias));
}

/** Matches aliases of a version, or of any version of a bare name: as long as there is one, `ref` may not be deleted. */
export function aliasesOn(tenant: string, ref: string): SQL {
  const { name, version, alias } = parseAdapterRef(ref);
  const one = alias === undefined ? version : aliased(sql`${tenant}`, sql`${name}`, sql`${alias}`);
  const ofVersion = one === undefined ? undefined : eq(adapterAliases.version, one);
  return and(eq(adapterAliases.tenant, tenant), eq(adapterAliases.name, name), ofVersion)!;
}

/** The aliases because of which `ref` may not be deleted. */
export async function findAliasesOn(db: Db, tenant: string, ref: string): Promise<AliasRow[]> {
  return db.select().from(adapterAliases).where(aliasesOn(tenant, ref)).orderBy(asc(adapterAliases.alias));
}

/** A change of an alias that is being made: by whom, and the change of its adapter's name that it is part of. */
export interface Making {
  change: number;
  by: ChangedBy;
  now: number;
}

/**
 * Points an alias to a ready version, where there is room for one more alias. Returns whether it was done; it also is where the alias names
 * that version already, which is no change.
 */
export async function setAlias(db: Db, key: AliasKey, version: number, making: Making): Promise<boolean> {
  const room = sql`(SELECT count(*) FROM ${adapterAliases}
    WHERE tenant = ${key.tenant} AND name = ${key.name} AND alias <> ${key.alias}) < ${MAX_ALIASES}`;
  const next = sql`SELECT l.version AS was, ${version} AS will, l.number AS back
    FROM (SELECT 1) LEFT JOIN ${adapterAliases} AS l
      ON l.tenant = ${key.tenant} AND l.name = ${key.name} AND l.alias = ${key.alias}
    WHERE l.version IS NOT ${version} AND ${room}`;
  await changeAlias(db, key, next, { ...making, isRollback: false });
  return (await findAlias(db, key))?.version === version;
}

/** Points an alias to what it named before its last change that is in force. Returns whether there is such a version, and it is ready. */
export async function rollBackAlias(db: Db, key: AliasKey, making: Making): Promise<boolean> {
  const next = sql`SELECT c.to_version AS was, p.to_version AS will, p.back AS back ${lastTwo(key)}`;
  return changeAlias(db, key, next, { ...making, isRollback: true });
}

/** The version that a rollback would go back to; undefined where there is none. */
export async function versionBefore(db: Db, key: AliasKey): Promise<number | undefined> {
  const rows = await db.all<{ version: number }>(sql`SELECT p.to_version AS version ${lastTwo(key)}`);
  return rows[0]?.version;
}

/** An alias, `c` the change in force and `p` the one before it. */
function lastTwo({ tenant, name, alias }: AliasKey): SQL {
  return sql`FROM ${adapterAliases} AS l
    JOIN ${aliasChanges} AS c ON c.tenant = l.tenant AND c.name = l.name AND c.alias = l.alias AND c.number = l.number
    JOIN ${aliasChanges} AS p ON p.tenant = l.tenant AND p.name = l.name AND p.alias = l.alias AND p.number = c.back
    WHERE l.tenant = ${tenant} AND l.name = ${name} AND l.alias = ${alias}`;
}

export async function deleteAlias(db: Db, key: AliasKey, making: Making): Promise<boolean> {
  const next = sql`SELECT l.version AS was, NULL AS will, NULL AS back FROM ${adapterAliases} AS l
    WHERE l.tenant = ${key.tenant} AND l.name = ${key.name} AND l.alias = ${key.alias}`;
  return changeAlias(db, key, next, { ...making, isRollback: false });
}

/**
 * Makes a change and notes it, both or neither. It is made only while the change of the name is pending and the version, if any, is ready.
 *
 * @param next a statement of no more than one row: the version that the alias names, the one that it shall, and the change to which a
 *   rollback goes back
 */
async function changeAlias(
  db: Db,
  key: AliasKey,
  next: SQL,
  { change, by, now, isRollback }: Making & { isRollback: boolean },
): Promise<boolean> {
  const { tenant, name, alias } = key;
  const number = sql`(SELECT coalesce(max(number), 0) FROM ${aliasChanges} WHERE ${changesOf(key)})`;
  const made = and(changesOf(key), eq(aliasChanges.change, change))!;
  const { noted } = await batch(db, {
    noted: statement<{ number: number }>(
      db,
      sql`INSERT INTO ${aliasChanges}
        (tenant, name, alias, number, change, from_version, to_version, back, is_rollback, by, created_at)
      SELECT ${tenant}, ${name}, ${alias}, ${number} + 1, ${change}, n.was, n.will, n.back, ${Number(isRollback)},
        ${JSON.stringify(by)}, ${now}
      FROM (${next}) AS n
      WHERE ${isPending(change)} AND (n.will IS NULL OR EXISTS (SELECT 1 FROM ${adapters} AS a
        WHERE a.tenant = ${tenant} AND a.name = ${name} AND a.version = n.will AND a.bundle IS NOT NULL))
      RETURNING number`,
    ),
    set: statement(
      db,
      sql`INSERT INTO ${adapterAliases} (tenant, name, alias, version, number, created_at, updated_at, updated_by)
      SELECT ${tenant}, ${name}, ${alias}, to_version, number, ${now}, ${now}, by FROM ${aliasChanges}
      WHERE ${made} AND ${isNotNull(aliasChanges.to)}
      ON CONFLICT (tenant, name, alias) DO UPDATE
      SET version = excluded.version, number = excluded.number, updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
    ),
    unset: db
      .delete(adapterAliases)
      .where(
        and(isAlias(key), sql`EXISTS (SELECT 1 FROM ${aliasChanges} WHERE ${made} AND to_version IS NULL)`),
      ),
    forgotten: db
      .delete(aliasChanges)
      .where(and(changesOf(key), sql`${aliasChanges.number} <= ${number} - ${MAX_ALIAS_CHANGES}`)),
  });
  return noted.length > 0;
}

/** A statement for a batch, after a deletion of versions: forgets the history of a name that has none left. */
export function forgetHistory(db: Db, tenant: string, name: string) {
  return db
    .delete(aliasChanges)
    .where(
      and(
        eq(aliasChanges.tenant, tenant),
        eq(aliasChanges.name, name),
        sql`NOT EXISTS (SELECT 1 FROM ${adapters} AS a WHERE a.tenant = ${tenant} AND a.name = ${name})`,
      ),
    );
}

/** A page of an alias's changes after the one at `last`, with one more where the list goes on. */
export async function pageOfAliasChanges(
  db: Db,
  key: AliasKey,
  { last, limit, order }: Omit<Paging, 'after'> & { last: number | undefined },
): Promise<ChangeRow[]> {
  const rest = last === undefined ? undefined : beyond(aliasChanges.number, last, order);
  return db
    .select()
    .from(aliasChanges)
    .where(and(changesOf(key), rest))
    .orderBy(byAge(aliasChanges.number, order))
    .limit(limit + 1);
}

/** The id of an alias's change: the alias and the change's number. */
export const aliasChangeId = ({ name, alias }: Omit<AliasKey, 'tenant'>, number: number) =>
  `${name}@${alias}:${number}`;

/** The alias as the API shows it. */
export function viewAlias({ name, alias, version, createdAt, updatedAt, updatedBy }: AliasRow): Alias {
  return {
    object: 'adapter.alias',
    id: `${name}@${alias}`,
    name,
    alias,
    version,
    adapter: `${name}@${version}`,
    created_at: createdAt,
    updated_at: updatedAt,
    updated_by: updatedBy,
  };
}

export function viewAliasChange(row: ChangeRow): AliasChange {
  const { from, to, isRollback: rollback, by, createdAt } = row;
  const id = aliasChangeId(row, row.number);
  return { object: 'adapter.alias.change', id, created_at: createdAt, by, from, to, rollback };
}
