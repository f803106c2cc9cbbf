import { parseArgs } from 'node:util';
import {
  KEY_ID,
  KEY_NAME,
  type KeyStore,
  type ListedKey,
  remoteKeys,
  TENANT,
  withLocalKeys,
} from './key-store.ts';

const USAGE = `usage: npm run keys -- COMMAND [--remote]
  create TENANT [--name NAME]   makes a key and shows it, this once
  list [TENANT]                 the keys in use: id, tenant, name, when they were made
  revoke KEY_ID                 ends one key
  revoke TENANT --all           ends all keys of a tenant; without --all its only one
  TENANT has 1 to 63 letters, digits, "-" and "_", and does not begin with "key_"; NAME has 1 to 63 letters, digits,
  blanks and "._@+-". --remote means the deployed edge, else it is the local one, started before or not.`;

interface Options {
  name?: string | undefined;
  all: boolean;
}

/** A command checks its arguments before any database is opened. The function it returns does the work and returns the report. */
type Command = (subject: string | undefined, options: Options) => (keys: KeyStore) => Promise<string>;

const create: Command = (tenant = '', { name, all }) => {
  check(TENANT.test(tenant) && !all && (name === undefined || KEY_NAME.test(name)));
  return async (keys) => {
    const { id, key } = await keys.create(tenant, name);
    return `${key}\nThis is the key of ${tenant}, ${id}; it is not shown again.`;
  };
};

const list: Command = (tenant, { name, all }) => {
  check((tenant === undefined || TENANT.test(tenant)) && name === undefined && !all);
  return async (keys) => table(await keys.list(tenant));
};

const revoke: Command = (subject = '', { name, all }) => {
  const isId = KEY_ID.test(subject);
  check(name === undefined && (isId ? !all : TENANT.test(subject)));
  return async (keys) => {
    if (isId) return revoked(await keys.revoke({ id: subject }), subject);
    const theirs = all ? [] : await keys.list(subject);
    if (theirs.length > 1) {
      throw new Error(`${subject} has ${theirs.length} keys: name one, or say --all.\n${table(theirs)}`);
    }
    return revoked(await keys.revoke({ tenant: subject }), subject);
  };
};

const COMMANDS: Readonly<Record<string, Command>> = { create, list, revoke };

function check(isRight: boolean): void {
  if (!isRight) throw new Error(USAGE);
}

function revoked(ended: ListedKey[], subject: string): string {
  if (ended.length === 0) throw new Error(`There is no key of ${subject} in use.`);
  return `revoked ${ended.length} key${ended.length === 1 ? '' : 's'}\n${table(ended)}`;
}

function table(keys: ListedKey[]): string {
  const rows = keys.map(({ id, tenant, name, created }) => [
    id,
    tenant,
    name ?? '-',
    `${new Date(created * 1000).toISOString().slice(0, 19)}Z`,
  ]);
  const lines = [['id', 'tenant', 'name', 'created'], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...lines.map((line) => line[column]!.length)));
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
      all: { type: 'boolean', default: false },
    },
  });
  const [action = '', subject, ...rest] = positionals;
  const command = Object.hasOwn(COMMANDS, action) ? COMMANDS[action] : undefined;
  check(command !== undefined && rest.length === 0);
  const run = command!(subject, values);
  return values.remote ? run(remoteKeys()) : withLocalKeys(stateFolder, run);
}
