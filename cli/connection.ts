import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { Failure, usage } from './failure.ts';
import type { World } from './world.ts';

/** Address of the platform that `weft up` starts, and its key unless it was given another. */
const LOCAL_URL = 'http://127.0.0.1:8787';
const DEVELOPMENT_KEY = 'weft-dev';
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** A platform's address, without a slash at its end, and a key for it. */
export interface Connection {
  url: string;
  key: string;
}

const login = z.strictObject({ url: z.string().max(2048), key: z.string().max(256) });

/** A key must fit into a header. Its error does not show it. */
export function checkKey(key: string, source: string): string {
  if (/^[\x21-\x7e]{1,256}$/.test(key)) return key;
  throw usage(`${source} must have 1 to 256 printable ASCII characters, and no space`);
}

/** An address in one form: http or https, no name and password in it, no slash at its end. */
export function checkUrl(given: string, source: string): string {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw usage(`${source} must be an address such as ${LOCAL_URL}`);
  }
  if (url.username !== '' || url.password !== '') {
    throw usage(`${source} must hold no name and password: the key is all that is sent`);
  }
  return url.origin + url.pathname.replace(/\/+$/, '');
}

export function isLoopback(url: string): boolean {
  return LOOPBACK.test(new URL(url).hostname);
}

/** The file in which `weft login` keeps address and key (XDG Base Directory Specification). */
export function configFile(env: World['env']): string {
  const given = env.XDG_CONFIG_HOME;
  const folder = given && isAbsolute(given) ? given : join(env.HOME || homedir(), '.config');
  return join(folder, 'weft', 'config.json');
}

async function readLogin(env: World['env']): Promise<Connection | undefined> {
  const path = configFile(env);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw badConfig(path, 'cannot be read', cause);
  }
  try {
    const { url, key } = login.parse(JSON.parse(text));
    return { url: checkUrl(url, path), key: checkKey(key, path) };
  } catch {
    // The error is no cause: it would quote the key.
    throw badConfig(path, 'is not what `weft login` writes');
  }
}

function badConfig(path: string, what: string, cause?: unknown): Failure {
  return new Failure('failed', 'bad_config', `${path} ${what}`, { next: ['weft login'], cause });
}

/** Keeps the login where only its owner reads it. Returns the file's path. */
export async function writeLogin(env: World['env'], kept: Connection): Promise<string> {
  const path = configFile(env);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const fresh = `${path}.${process.pid}`;
  try {
    await writeFile(fresh, `${JSON.stringify(kept, null, 2)}\n`, { mode: 0o600, flag: 'w' });
    await chmod(fresh, 0o600);
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
  return path;
}

/** Deletes what `weft login` kept; false if there was nothing. */
export async function removeLogin(env: World['env']): Promise<boolean> {
  try {
    await rm(configFile(env));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** The address: `--url`, else `WEFT_URL`, else the login's, else this machine. */
export async function addressOf(env: World['env'], given: string | undefined): Promise<string> {
  if (given !== undefined) return checkUrl(given, '--url');
  if (env.WEFT_URL) return checkUrl(env.WEFT_URL, 'WEFT_URL');
  return (await readLogin(env))?.url ?? LOCAL_URL;
}

/**
 * The address and its key: `WEFT_API_KEY`, else the login's. A login's key is sent to the address alone that it was given for. This
 * machine's own platform has a key for development, which is the last resort there.
 */
export async function connectionOf(env: World['env'], given: string | undefined): Promise<Connection> {
  const url = await addressOf(env, given);
  if (env.WEFT_API_KEY) return { url, key: checkKey(env.WEFT_API_KEY, 'WEFT_API_KEY') };
  const kept = await readLogin(env);
  if (kept && new URL(kept.url).origin === new URL(url).origin) return { url, key: kept.key };
  if (isLoopback(url)) return { url, key: DEVELOPMENT_KEY };
  throw new Failure(
    'input_needed',
    'input_needed',
    `There is no key for ${url}: log in, or set WEFT_API_KEY.`,
    {
      next: [`weft login --url ${url}`],
    },
  );
}
