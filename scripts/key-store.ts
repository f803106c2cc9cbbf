import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openLocalDatabase, WRANGLER_CONFIG } from './local-database.ts';

const WRANGLER = fileURLToPath(new URL('../node_modules/wrangler/bin/wrangler.js', import.meta.url));

/** The visible part of a key; the key itself is not stored. */
export interface ListedKey {
  /** `key_` and the first digits of the key's SHA-256. */
  id: string;
  tenant: string;
  name: string | null;
  /** Unix seconds. */
  created: number;
}

/** Runs one statement on the edge's database and returns its rows. */
type Execute = (sql: string) => Promise<unknown[]>;

// These alphabets keep SQL safe: none of them has a quote.
export const TENANT = /^(?!key_)[A-Za-z0-9_-]{1,63}$/;
export const KEY_NAME = /^[\p{L}\p{N}][\p{L}\p{N} ._@+-]{0,62}$/u;
export const KEY_ID = /^key_[0-9a-f]{16}$/;

const ID = "'key_' || substr(hash, 1, 16)";
const LISTED = `${ID} AS id, tenant, name, created_at AS created`;

/** The client keys of one edge. Callers must pass tenants, names and ids of the alphabets above. */
export class KeyStore {
  readonly #execute: Execute;

  constructor(execute: Execute) {
    this.#execute = execute;
  }

  /** Makes a key. It can be shown only now, because only its SHA-256 is stored. */
  async create(tenant: string, name: string | undefined): Promise<{ id: string; key: string }> {
    const key = `weft-${randomBytes(24).toString('base64url')}`;
    const hash = createHash('sha256').update(key).digest('hex');
    const [row] = await this.#execute(
      `INSERT INTO api_keys (hash, tenant, name, created_at)
      VALUES ('${hash}', '${tenant}', ${name === undefined ? 'NULL' : `'${name}'`}, unixepoch()) RETURNING ${ID} AS id`,
    );
    return { id: (row as ListedKey).id, key };
  }

  /** The keys that are not revoked, of one tenant or of all, oldest first. */
  async list(tenant?: string): Promise<ListedKey[]> {
    const theirs = tenant === undefined ? '' : `AND tenant = '${tenant}'`;
    const rows = await this.#execute(
      `SELECT ${LISTED} FROM api_keys WHERE revoked_at IS NULL ${theirs} ORDER BY tenant, created_at, hash`,
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
