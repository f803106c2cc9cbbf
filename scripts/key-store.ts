import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type KeyRole, keyId, keyName } from '../shared/api/keys.ts';
import { openLocalDatabase, WRANGLER_CONFIG } from './local-database.ts';

const WRANGLER = fileURLToPath(new URL('../node_modules/wrangler/bin/wrangler.js', import.meta.url));

/** The visible part of a key; the key itself is not stored. */
export interface ListedKey {
  /** `key_` and the first digits of the key's SHA-256. */
  id: string;
  tenant: string;
  name: string | null;
  /** Unix seconds; null where it was not used yet, and where it does not expire. */
  created: number;
  used: number | null;
  expires: number | null;
}

/** What a tenant may do: null is as the edge is set, 0 without a limit. */
export type Limits = Record<LimitName, number | null>;
export type LimitName = keyof typeof LIMIT_COLUMNS;

/** Limits by their options, and their columns. */
export const LIMIT_COLUMNS = {
  requests: 'requests_per_minute',
  tokens: 'tokens_per_minute',
  jobs: 'queued_jobs',
  bytes: 'stored_bytes',
} as const;

/** Runs one statement on the edge's database and returns its rows. */
type Execute = (sql: string) => Promise<unknown[]>;

// These alphabets keep SQL safe: none of them has a quote.
export const TENANT = /^(?!key_)[A-Za-z0-9_-]{1,63}$/;
export const isKeyName = (text: string) => keyName.safeParse(text).success;
export const isKeyId = (text: string) => keyId.safeParse(text).success;

const ID = "'key_' || substr(hash, 1, 16)";
const LISTED = `${ID} AS id, tenant, name, created_at AS created, last_used_at AS used, expires_at AS expires`;
const IN_USE = 'revoked_at IS NULL AND (expires_at IS NULL OR expires_at > unixepoch())';

const textOf = (value: string | undefined) => (value === undefined ? 'NULL' : `'${value}'`);

/** The client keys of one edge. Callers must pass tenants, names and ids of the alphabets above. */
export class KeyStore {
  readonly #execute: Execute;

  constructor(execute: Execute) {
    this.#execute = execute;
  }

  /** Makes a key. It can be shown only now, because only its SHA-256 is stored. */
  async create(
    tenant: string,
    name: string | undefined,
    seconds?: number,
    role?: KeyRole,
  ): Promise<{ id: string; key: string }> {
    const { key, hash } = newKey();
    const expires = seconds === undefined ? 'NULL' : `unixepoch() + ${seconds}`;
    const [row] = await this.#execute(
      `INSERT INTO api_keys (hash, tenant, name, created_at, expires_at, role)
      VALUES ('${hash}', '${tenant}', ${textOf(name)}, unixepoch(), ${expires}, ${textOf(role)}) RETURNING ${ID} AS id`,
    );
    return { id: (row as ListedKey).id, key };
  }

  /**
   * Makes a key in place of another of the same name, which ends after `overlap` seconds. Returns undefined where that one is not in use.
   */
  async rotate(
    id: string,
    overlap: number,
  ): Promise<{ id: string; key: string; old: ListedKey } | undefined> {
    const { key, hash } = newKey();
    const [made] = await this.#execute(
      `INSERT INTO api_keys (hash, tenant, name, created_at, expires_at, role)
      SELECT '${hash}', tenant, name, unixepoch(), expires_at, role FROM api_keys WHERE ${ID} = '${id}' AND ${IN_USE} RETURNING ${ID} AS id`,
    );
    if (!made) return undefined;
    const [old] = await this.#execute(
      `UPDATE api_keys SET expires_at = min(coalesce(expires_at, unixepoch() + ${overlap}), unixepoch() + ${overlap})
      WHERE ${ID} = '${id}' RETURNING ${LISTED}`,
    );
    return { id: (made as ListedKey).id, key, old: old as ListedKey };
  }

  /** Sets those limits of a tenant that are given, and returns all of its own. */
  async limit(tenant: string, given: Partial<Limits>): Promise<Limits> {
    const names = Object.keys(LIMIT_COLUMNS) as LimitName[];
    const all = names.map((name) => LIMIT_COLUMNS[name]).join(', ');
    const values = names.map((name) => String(given[name] ?? null)).join(', ');
    const set = names
      .filter((name) => name in given)
      .map((name) => `${LIMIT_COLUMNS[name]} = excluded.${LIMIT_COLUMNS[name]}`);
    const shown = names.map((name) => `${LIMIT_COLUMNS[name]} AS ${name}`).join(', ');
    const [row] = await this.#execute(
      `INSERT INTO tenant_limits (tenant, ${all}) VALUES ('${tenant}', ${values})
      ON CONFLICT (tenant) DO UPDATE SET ${['tenant = tenant', ...set].join(', ')} RETURNING ${shown}`,
    );
    return row as Limits;
  }

  /** The keys in use, of one tenant or of all, oldest first. */
  async list(tenant?: string): Promise<ListedKey[]> {
    const theirs = tenant === undefined ? '' : `AND tenant = '${tenant}'`;
    const rows = await this.#execute(
      `SELECT ${LISTED} FROM api_keys WHERE ${IN_USE} ${theirs} ORDER BY tenant, created_at, hash`,
    );
    return rows as ListedKey[];
  }

  /** Revokes the key of this id, or all keys of this tenant; returns those that it has revoked. */
  async revoke(which: { id: string } | { tenant: string }): Promise<ListedKey[]> {
    const doomed = 'id' in which ? `${ID} = '${which.id}'` : `tenant = '${which.tenant}'`;
    const rows = await this.#execute(
      `UPDATE api_keys SET revoked_at = unixepoch() WHERE ${doomed} AND revoked_at IS NULL RETURNING ${LISTED}`,
    );
    return rows as ListedKey[];
  }
}

function newKey(): { key: string; hash: string } {
  const key = `weft-${randomBytes(24).toString('base64url')}`;
  return { key, hash: createHash('sha256').update(key).digest('hex') };
}

/** Runs `use` on the keys of the local edge, which may run meanwhile or never have been started. */
export async function withLocalKeys<T>(stateFolder: string, use: (keys: KeyStore) => Promise<T>): Promise<T> {
  await using local = await openLocalDatabase(stateFolder);
  return await use(new KeyStore(async (sql) => (await local.db.prepare(sql).all()).results));
}

/** The keys of the deployed edge. */
export function remoteKeys(): KeyStore {
  return new KeyStore(async (sql) => {
    const args = ['d1', 'execute', 'weft', '--remote', '--config', WRANGLER_CONFIG, '--json', '--yes'];
    const { stdout } = await promisify(execFile)(process.execPath, [
      WRANGLER,
      ...args,
      '--command',
      sql,
    ]).catch((cause) => {
      throw new Error(`wrangler could not reach the keys: ${complaint(cause)}`, { cause });
    });
    const [{ results }] = JSON.parse(stdout.slice(stdout.indexOf('[')));
    return results;
  });
}

/** wrangler's error, which with --json is on its output, and the way out of a database without its tables. */
function complaint({ stdout, stderr }: { stdout?: string; stderr?: string }): string {
  const text = told(stdout) ?? `${stderr ?? ''}${stdout ?? ''}`.trim();
  return /no such (table|column)/.test(text)
    ? `${text}; apply the migrations first: npx wrangler d1 migrations apply weft --remote`
    : text;
}

function told(stdout: string | undefined): string | undefined {
  try {
    return JSON.parse(stdout ?? '').error.text;
  } catch {
    return undefined;
  }
}
