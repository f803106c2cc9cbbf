import { InvalidArgumentError } from '@commander-js/extra-typings';
import { listOf } from '../../shared/api/common.ts';
import { apiKey, keyDeleted, keyId, keyName, madeKey, rotatedKey } from '../../shared/api/keys.ts';
import { ago, until } from '../listing.ts';
import { Session } from '../session.ts';
import { table } from '../terminal/tables.ts';
import { checkedBy, noun, REMOTE, verb } from '../verb.ts';
import type { World } from '../world.ts';

const DAY_SECONDS = 24 * 3600;

export const keys = (world: World) =>
  noun('keys', 'Keys of your tenant', [list(world), create(world), rotate(world), revoke(world)]);

const list = (world: World) =>
  verb('list', 'List the keys in use', REMOTE).action(async (_options, command) => {
    const session = new Session(world, command);
    const client = await session.client();
    const { raw, value } = await client.call(listOf(apiKey), { method: 'GET', path: '/v1/keys' });
    const rows = value.data.map((key) => [
      key.id,
      key.name ?? '–',
      ago(key.created_at),
      key.last_used_at === null ? 'never' : ago(key.last_used_at),
      until(key.expires_at),
      key.current ? 'this one' : '',
    ]);
    session.out.result(raw, () => table([['key', 'name', 'made', 'used', 'expires', ''], ...rows]));
  });

const create = (world: World) =>
  verb('create', 'Make a key; it is shown this once, on standard output', REMOTE)
    .argument('<name>', 'what it is for', checkedBy(keyName))
    .option('--expires-in <days>', 'days until it ends by itself', days)
    .action(async (name, { expiresIn }, command) => {
      const session = new Session(world, command);
      const client = await session.client();
      const json = { name, ...(expiresIn !== undefined && { expires_in: expiresIn }) };
      const { raw, value } = await client.call(madeKey, { method: 'POST', path: '/v1/keys', json });
      session.out.result(raw, () => value.key);
      session.out.note(`This is ${value.id}, ${name}; it is not shown again.`);
      session.out.next('weft login --key-stdin');
    });

const rotate = (world: World) =>
  verb('rotate', 'Make a key in place of another, which goes on working for a while', REMOTE)
    .argument('<id>', 'the key, key_…', checkedBy(keyId))
    .option(
      '--overlap <days>',
      'days for which the old one still works; 0 ends it at once',
      days,
      DAY_SECONDS,
    )
    .action(async (id, { overlap }, command) => {
      const session = new Session(world, command);
      if (overlap === 0) await session.agree(`End ${id} at once?`);
      const client = await session.client();
      const path = `/v1/keys/${id}/rotate`;
      const { raw, value } = await client.call(rotatedKey, { method: 'POST', path, json: { overlap } });
      session.out.result(raw, () => value.key);
      session.out.note(
        `This is ${value.id}; it is not shown again. ${id} ends ${until(value.replaces.expires_at)}.`,
      );
      session.out.next('weft login --key-stdin');
    });

const revoke = (world: World) =>
  verb('revoke', 'End a key', REMOTE)
    .argument('<id>', 'the key, key_…', checkedBy(keyId))
    .action(async (id, _options, command) => {
      const session = new Session(world, command);
      await session.agree(`End ${id}?`);
      const client = await session.client();
      const { raw } = await client.call(keyDeleted, { method: 'DELETE', path: `/v1/keys/${id}` });
      session.out.result(raw, () => `${id} is ended`);
    });

/** Days, in seconds. */
function days(given: string): number {
  const number = Number(given);
  if (given.trim() !== '' && number >= 0 && number <= 3650) return Math.round(number * DAY_SECONDS);
  throw new InvalidArgumentError('It must be a number of days, up to 3650.');
}
