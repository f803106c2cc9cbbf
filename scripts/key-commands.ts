import { parseArgs } from 'node:util';
import {
  isKeyId,
  isKeyName,
  type KeyStore,
  LIMIT_COLUMNS,
  type LimitName,
  type ListedKey,
  remoteKeys,
  TENANT,
  withLocalKeys,
} from './key-store.ts';

const USAGE = `usage: npm run keys -- COMMAND [--remote]
  create TENANT [--name NAME] [--days N] [--operator]   makes a key, for N days or for good, and shows it, this once;
                                an operator's sees every node and the whole queue
  rotate KEY_ID [--days N]      makes a key in its place; the old one ends after N days, or 1
  list [TENANT]                 the keys in use: id, tenant, name, when they were made, were used and end
  revoke KEY_ID                 ends one key
  revoke TENANT --all           ends all keys of a tenant; without --all its only one
  limits TENANT [--requests N] [--tokens N] [--jobs N] [--bytes N]   sets and shows what a tenant may do: requests and tokens
                                in a minute, jobs that wait, bytes stored; 0 is without a limit, "default" as the edge is set
  TENANT has 1 to 63 letters, digits, "-" and "_", and does not begin with "key_"; NAME has 1 to 63 letters, digits,
  blanks and "._@+-". --remote means the deployed edge, else it is the local one, started before or not.`;

type Options = { all: boolean; operator: boolean } & {
  [Name in 'name' | 'days' | LimitName]?: string | undefined;
};

const DAY_SECONDS = 24 * 3600;
const MAX_DAYS = 3650;

/** A command checks its arguments before any database is opened. The function it returns does the work and returns the report. */
type Command = (subject: string | undefined, options: Options) => (keys: KeyStore) => Promise<string>;

const create: Command = (tenant = '', { name, days, operator, ...others }) => {
  check(TENANT.test(tenant) && isNone(others) && (name === undefined || isKeyName(name)));
  const seconds = days === undefined ? undefined : secondsOf(days);
  return async (keys) => {
    const { id, key } = await keys.create(tenant, name, seconds, operator ? 'operator' : undefined);
    return `${key}\nThis is the key of ${tenant}, ${id}; it is not shown again.`;
  };
};

const rotate: Command = (id = '', { days = '1', ...others }) => {
  check(isKeyId(id) && isNone(others));
  const overlap = secondsOf(days);
  return async (keys) => {
    const made = await keys.rotate(id, overlap);
    if (!made) throw new Error(`There is no key of ${id} in use.`);
    const ends = timeOf(made.old.expires);
    return `${made.key}\nThis is the key of ${made.old.tenant}, ${made.id}; it is not shown again. ${id} ends at ${ends}.`;
  };
};

const limits: Command = (tenant = '', { all, operator, name, days, ...given }) => {
  check(TENANT.test(tenant) && isNone({ all, operator, name, days }));
  const values = Object.entries(given).map(([limit, text = '']) => {
    check(text === 'default' || /^[0-9]{1,15}$/.test(text));
    return [limit, text === 'default' ? null : Number(text)];
  });
  return async (keys) => {
    const own = await keys.limit(tenant, Object.fromEntries(values));
    const shown = (value: number | null) => (value === null ? 'default' : value || 'none');
    return Object.entries(own)
      .map(([limit, value]) => `${limit} ${shown(value)}`)
      .join('\n');
  };
};

const list: Command = (tenant, options) => {
  check((tenant === undefined || TENANT.test(tenant)) && isNone(options));
  return async (keys) => table(await keys.list(tenant));
};

const revoke: Command = (subject = '', { all, ...others }) => {
  const isId = isKeyId(subject);
  check(isNone(others) && (isId ? !all : TENANT.test(subject)));
  return async (keys) => {
    if (isId) return revoked(await keys.revoke({ id: subject }), subject);
    const theirs = all ? [] : await keys.list(subject);
    if (theirs.length > 1) {
      throw new Error(`${subject} has ${theirs.length} keys: name one, or say --all.\n${table(theirs)}`);
    }
    return revoked(await keys.revoke({ tenant: subject }), subject);
  };
};

const COMMANDS: Readonly<Record<string, Command>> = { create, rotate, list, revoke, limits };

function check(isRight: boolean): void {
  if (!isRight) throw new Error(USAGE);
}

/** True where none of these options was given. */
function isNone(options: Partial<Options>): boolean {
  return Object.values(options).every((value) => value === undefined || value === false);
}

function secondsOf(days: string): number {
  check(/^[0-9]{1,4}$/.test(days) && Number(days) <= MAX_DAYS);
  return Number(days) * DAY_SECONDS;
}

const timeOf = (seconds: number | null) =>
  seconds === null ? '-' : `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`;

function revoked(ended: ListedKey[], subject: string): string {
  if (ended.length === 0) throw new Error(`There is no key of ${subject} in use.`);
  return `revoked ${ended.length} key${ended.length === 1 ? '' : 's'}\n${table(ended)}`;
}

function table(keys: ListedKey[]): string {
  const rows = keys.map(({ id, tenant, name, created, used, expires }) => [
    id,
    tenant,
    name ?? '-',
    timeOf(created),
    timeOf(used),
    timeOf(expires),
  ]);
  const lines = [['id', 'tenant', 'name', 'created', 'used', 'ends'], ...rows];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...lines.map((line) => line[column]!.length)));
  return lines.map((line) => line.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')).join('\n');
}

/**
 * Runs a command on the local edge's keys, which lie in `stateFolder`, or with `--remote` on those of the deployed edge. Returns the
 * report.
 * @throws {Error} with the usage where the arguments make no command
 */
export async function runKeys(args: string[], stateFolder: string): Promise<string> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      remote: { type: 'boolean', default: false },
      name: { type: 'string' },
      days: { type: 'string' },
      ...Object.fromEntries(Object.keys(LIMIT_COLUMNS).map((name) => [name, { type: 'string' as const }])),
      all: { type: 'boolean', default: false },
      operator: { type: 'boolean', default: false },
    },
  });
  const [action = '', subject, ...rest] = positionals;
  const command = Object.hasOwn(COMMANDS, action) ? COMMANDS[action] : undefined;
  check(command !== undefined && rest.length === 0);
  const { remote, ...options } = values;
  const run = command!(subject, options);
  return remote ? run(remoteKeys()) : withLocalKeys(stateFolder, run);
}
