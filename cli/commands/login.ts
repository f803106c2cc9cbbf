import { isCancel, password, text } from '@clack/prompts';
import { z } from 'zod';
import { listOf } from '../../shared/api/common.ts';
import { collectBytes } from '../../shared/bytes.ts';
import { Client } from '../client.ts';
import { addressOf, checkKey, checkUrl, removeLogin, writeLogin } from '../connection.ts';
import { Failure, usage } from '../failure.ts';
import { Session } from '../session.ts';
import { LOCAL, REMOTE, verb } from '../verb.ts';
import { canAsk, type World } from '../world.ts';

const MAX_KEY_BYTES = 1024;

/** Models as they are listed; base models alone say how many nodes serve them. */
const modelPage = listOf(z.object({ id: z.string(), nodes: z.int().optional() }));

export const login = (world: World) =>
  verb('login', 'Keep the address of a platform and a key for it', REMOTE)
    .option(
      '--key-stdin',
      'read the key from standard input; an argument would show in the list of processes',
    )
    .action(async (options, command) => {
      const session = new Session(world, command);
      const kept = options.keyStdin
        ? { url: await addressOf(world.env, session.givenUrl), key: await keyFromStdin(world) }
        : await ask(session);
      const models = await new Client(kept, world.signal).call(modelPage, {
        method: 'GET',
        path: '/v1/models',
      });
      const path = await writeLogin(world.env, kept);
      const names = models.value.data.flatMap(({ id, nodes }) => (nodes === undefined ? [] : [id]));
      const payload = { object: 'login', url: kept.url, config: path, base_models: names };
      session.out.result(
        payload,
        () => `logged in to ${kept.url}: ${names.join(', ') || 'no base model yet'}`,
      );
      session.out.note(`The key is kept in ${path}, for you alone.`);
      session.out.next('weft train NAME FILE');
    });

export const logout = (world: World) =>
  verb('logout', 'Forget the address and the key', LOCAL).action(async (_options, command) => {
    const forgotten = await removeLogin(world.env);
    new Session(world, command).out.result({ object: 'logout', forgotten }, () =>
      forgotten ? 'logged out' : 'there was no login',
    );
  });

async function ask(session: Session): Promise<{ url: string; key: string }> {
  const { world } = session;
  if (session.out.json || !canAsk(world)) {
    const message = 'There is no terminal to ask for the key: give it on standard input, with --key-stdin.';
    throw new Failure('input_needed', 'input_needed', message, { next: ['weft login --key-stdin < FILE'] });
  }
  const output = world.stderr as NodeJS.WriteStream;
  const known = await addressOf(world.env, session.givenUrl);
  const url =
    session.givenUrl ??
    answered(await text({ message: 'Address', initialValue: known, output, signal: world.signal }));
  const key = answered(await password({ message: 'Key', output, signal: world.signal }));
  return { url: checkUrl(url, 'The address'), key: checkKey(key, 'The key') };
}

function answered(answer: string | symbol | undefined): string {
  if (isCancel(answer)) throw new Failure('interrupted', 'interrupted', 'Nothing was kept.');
  return (answer as string | undefined) ?? '';
}

async function keyFromStdin({ stdin }: World): Promise<string> {
  const tooLong = () => usage('The key on standard input is too long');
  const bytes = await collectBytes(stdin as AsyncIterable<Uint8Array>, MAX_KEY_BYTES, tooLong);
  return checkKey(new TextDecoder().decode(bytes).trim(), 'The key on standard input');
}
