import { InvalidArgumentError } from '@commander-js/extra-typings';
import { type Alias, aliasChange, aliasDeleted, alias as aliasSchema } from '../../shared/api/aliases.ts';
import { adapterRef, listOf, parseAdapterRef } from '../../shared/api/common.ts';
import type { Client } from '../client.ts';
import { usage } from '../failure.ts';
import { ago } from '../listing.ts';
import { Session } from '../session.ts';
import { table } from '../terminal/tables.ts';
import { REMOTE, verb } from '../verb.ts';
import type { World } from '../world.ts';

export const alias = (world: World) =>
  verb('alias', 'Point an alias to a version, show it, or list the aliases of a name', REMOTE)
    .argument('<ref>', 'spam@prod for one alias, spam for all of an adapter', reference)
    .argument('[version]', 'the version that the alias means from now on', versionNumber)
    .option('--history', "the alias's changes, newest first")
    .option('--delete', 'delete the alias')
    .action(async ({ name, alias }, version, options, command) => {
      const session = new Session(world, command);
      if (alias === undefined) {
        if (version ?? options.history ?? options.delete) throw usage('Name the alias, as in spam@prod.');
        return listAliases(session, name);
      }
      if ([version, options.history, options.delete].filter(Boolean).length > 1) {
        throw usage('Give one of a version, --history and --delete.');
      }
      const path = pathOf(name, alias);
      if (options.history) return showHistory(session, path);
      if (options.delete) return deleteAlias(session, `${name}@${alias}`, path);
      const client = await session.client();
      const { raw, value } = await (version === undefined
        ? client.call(aliasSchema, { method: 'GET', path })
        : // Pointing an alias twice to one version changes nothing more.
          client.call(aliasSchema, { method: 'PUT', path, json: { version }, isSafe: true }));
      session.out.result(raw, () => `${value.id} means ${value.adapter}`);
      session.out.next(`weft classify ${value.id} 'a text'`);
    });

export const rollback = (world: World) =>
  verb('rollback', 'Point an alias to what it meant before its last change', REMOTE)
    .argument('<ref>', 'the alias, as in spam@prod', reference)
    .action(async ({ name, alias }, _options, command) => {
      if (alias === undefined) throw usage('Name the alias, as in spam@prod.');
      const session = new Session(world, command);
      const client = await session.client();
      const path = `${pathOf(name, alias)}/rollback`;
      const { raw, value } = await client.call(aliasSchema, { method: 'POST', path, json: {} });
      session.out.result(raw, () => `${value.id} means ${value.adapter} again`);
    });

function reference(given: string): { name: string; alias?: string } {
  const parts = adapterRef.safeParse(given).success ? parseAdapterRef(given) : undefined;
  if (parts && parts.version === undefined) return parts;
  throw new InvalidArgumentError('It must be a name, or name@alias, as in spam@prod.');
}

function versionNumber(given: string): number {
  if (/^[1-9]\d{0,8}$/.test(given)) return Number(given);
  throw new InvalidArgumentError("It must be a version's number.");
}

function pathOf(name: string, alias: string): string {
  return `/v1/adapters/${name}/aliases/${alias}`;
}

async function listAliases(session: Session, name: string): Promise<void> {
  const client: Client = await session.client();
  const path = `/v1/adapters/${name}/aliases`;
  const { raw, value } = await client.call(listOf(aliasSchema), { method: 'GET', path });
  const row = (item: Alias) => [
    item.id,
    item.adapter,
    ago(item.updated_at),
    item.updated_by.name ?? item.updated_by.key,
  ];
  session.out.result(raw, () =>
    value.data.length === 0
      ? `  ${name} has no aliases.`
      : table([['alias', 'means', 'changed', 'by'], ...value.data.map(row)]),
  );
}

async function showHistory(session: Session, path: string): Promise<void> {
  const client = await session.client();
  const { raw, value } = await client.call(listOf(aliasChange), { method: 'GET', path: `${path}/history` });
  const shown = (version: number | null) => (version === null ? '–' : String(version));
  session.out.result(raw, () =>
    table([
      ['when', 'by', 'from', 'to', ''],
      ...value.data.map((change) => [
        ago(change.created_at),
        change.by.name ?? change.by.key,
        shown(change.from),
        shown(change.to),
        change.rollback ? 'rollback' : '',
      ]),
    ]),
  );
}

async function deleteAlias(session: Session, id: string, path: string): Promise<void> {
  await session.agree(`Delete the alias ${id}?`);
  const client = await session.client();
  const { raw } = await client.call(aliasDeleted, { method: 'DELETE', path });
  session.out.result(raw, () => `${id} is deleted`);
}
