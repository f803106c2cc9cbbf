import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { edgeStateFolder } from '../../../scripts/home.ts';
import { runKeys } from '../../../scripts/key-commands.ts';
import { type LocalEdge, startEdge } from '../../../scripts/local-edge.ts';

const SCRIPT = fileURLToPath(new URL('../../../scripts/keys.ts', import.meta.url));
const ID = /key_[0-9a-f]{16}/;

let home: string;
let edge: LocalEdge | undefined;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft-keys-'));
});

afterAll(async () => {
  await edge?.stop();
  await rm(home, { recursive: true });
});

const keys = (...args: string[]) => runKeys(args, edgeStateFolder(home));

/** The same by its command. */
async function npmRunKeys(...args: string[]): Promise<string> {
  const env = { ...process.env, WEFT_HOME: home };
  const { stdout } = await promisify(execFile)(process.execPath, [SCRIPT, ...args], { env });
  return stdout;
}

const create = async (...args: string[]) => made(await keys('create', ...args));

function made(said: string): { key: string; id: string } {
  return { key: said.split('\n')[0]!, id: ID.exec(said)![0] };
}

const statusWith = async (key: string) =>
  (await fetch(new URL('/v1/files', edge!.url), { headers: { authorization: `Bearer ${key}` } })).status;

it('makes keys before the first start, lists them, and revokes the one that is named', async () => {
  const laptop = made(await npmRunKeys('create', 'acme', '--name', 'Jürgen-s laptop'));
  edge = await startEdge({
    stateFolder: edgeStateFolder(home),
    port: 0,
    nodeSecret: 'node-secret-of-keys',
    key: 'weft-dev-of-keys',
  });
  const ci = await create('acme', '--name', 'ci');
  const other = await create('other');

  const listed = await keys('list');
  for (const { id } of [laptop, ci, other]) expect(listed).toContain(id);
  expect(listed).toMatch(new RegExp(`${laptop.id} +acme +Jürgen-s laptop +\\d{4}-\\d\\d-\\d\\dT[\\d:]+Z`));
  for (const { key } of [laptop, ci, other]) expect(listed).not.toContain(key);

  await keys('revoke', ci.id);
  await expect(keys('revoke', ci.id)).rejects.toThrow(`There is no key of ${ci.id} in use`);
  expect(await Promise.all([laptop, ci, other].map(({ key }) => statusWith(key)))).toEqual([200, 401, 200]);
  expect(await keys('list', 'acme')).not.toMatch(new RegExp(`${ci.id}|${other.id}`));
});

it('revokes all keys of a tenant only where that is said', async () => {
  const two = [await create('many'), await create('many')];
  const refused = await keys('revoke', 'many').catch((error) => error.message);
  for (const { id } of two) expect(refused).toContain(id);
  expect(refused).toContain('--all');
  expect(await keys('revoke', 'many', '--all')).toContain('revoked 2 keys');
  expect(await Promise.all(two.map(({ key }) => statusWith(key)))).toEqual([401, 401]);
  const [only, beside] = [await create('single'), await create('beside')];
  expect(await keys('revoke', 'single')).toContain(only.id);
  expect(await statusWith(beside.key)).toBe(200);
});

it('rotates a key without a gap, tells when keys were used and end, and sets what a tenant may do', async () => {
  const old = await create('rotating', '--name', 'ci', '--days', '30');
  const rotated = made(await keys('rotate', old.id, '--days', '1'));
  expect(await Promise.all([old, rotated].map(({ key }) => statusWith(key)))).toEqual([200, 200]);
  const times = / ci +(\S+) +(\S+) +(\S+)$/gm;
  await expect
    .poll(async () => [...(await keys('list', 'rotating')).matchAll(times)].map(([, , used]) => used === '-'))
    .toEqual([false, false]);
  const ends = [...(await keys('list', 'rotating')).matchAll(times)].map(
    ([, , , end]) => Date.parse(end!) - Date.now(),
  );
  for (const [end, days] of [
    [Math.min(...ends), 1],
    [Math.max(...ends), 30],
  ] as const) {
    expect(Math.abs(end - days * 24 * 3600 * 1000)).toBeLessThan(3600 * 1000);
  }
  await keys('rotate', old.id, '--days', '0');
  await expect(keys('rotate', old.id)).rejects.toThrow('There is no key of');

  expect(await keys('limits', 'rotating')).toBe(
    'requests default\ntokens default\njobs default\nbytes default',
  );
  await keys('limits', 'rotating', '--requests', '60', '--bytes', '0');
  expect(await keys('limits', 'rotating', '--tokens', '9000')).toBe(
    'requests 60\ntokens 9000\njobs default\nbytes none',
  );
  expect(await keys('limits', 'rotating', '--requests', 'default')).toContain('requests default');
  for (const wrong of [
    ['--requests', '1.5'],
    ['--jobs', "1'"],
    ['--name', 'x'],
  ])
    await expect(keys('limits', 'rotating', ...wrong)).rejects.toThrow('usage');
});

it('waits for a running edge that holds the database, and never advises to remove that', async () => {
  const file = globSync(`${edgeStateFolder(home)}/d1/**/*.sqlite`).find(
    (each) => !each.includes('metadata'),
  )!;
  const held = new DatabaseSync(file);
  held.exec('BEGIN EXCLUSIVE');
  const failed = await keys('create', 'late').catch((error) => error.message);
  expect(failed).toContain('try again');
  expect(failed).not.toContain('remove');
  const waiting = create('late');
  held.exec('ROLLBACK');
  held.close();
  expect(await statusWith((await waiting).key)).toBe(200);
});

it('says how it is used, and lets nothing but names into its statements', async () => {
  const wrong = [
    ['create', "o'brien"],
    ['create', 'acme', '--name', "x', 'y"],
    ['create', 'key_acme'],
    ['revoke', '--all'],
  ];
  for (const args of wrong) await expect(keys(...args)).rejects.toThrow('usage: npm run keys');
});
