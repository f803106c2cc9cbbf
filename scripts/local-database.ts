import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { applyMigrations, type LocalDatabase, OtherVersion } from './migrations.ts';

const ROOT = new URL('../', import.meta.url);

/** The one source of the edge's bindings. */
export const WRANGLER_CONFIG = fileURLToPath(new URL('wrangler.toml', ROOT));

/** The bindings of `wrangler.toml`. wrangler warns of a secret that is not in the environment. */
export async function readWranglerConfig(nodeSecret: string) {
  process.env.WRANGLER_LOG ??= 'error';
  process.env.NODE_SECRET ??= nodeSecret;
  const { unstable_getMiniflareWorkerOptions } = await import('wrangler');
  return unstable_getMiniflareWorkerOptions(WRANGLER_CONFIG);
}

/**
 * Migrates the local edge's database to this version.
 * @throws {Error} naming the folder and the way out where another version made it, or another process holds it.
 */
export async function migrate(db: LocalDatabase, stateFolder: string): Promise<void> {
  await applyMigrations(db, new URL('migrations/', ROOT)).catch((cause) => {
    const way =
      cause instanceof OtherVersion
        ? 'go on with that version, set WEFT_HOME to another folder, or remove this one'
        : 'if an edge is running there, it may be busy: try again';
    throw new Error(`${stateFolder} cannot be used: ${cause.message}; ${way}`, { cause });
  });
}

/** Attempts to open the database: an edge that writes holds it for moments, and workerd does not wait. */
const ATTEMPTS = 6;
const PAUSE_MS = 500;

/** Opens the local edge's database without the edge, migrated. It is made if there is none, and shared with an edge that runs. */
export async function openLocalDatabase(
  stateFolder: string,
): Promise<AsyncDisposable & { db: LocalDatabase }> {
  for (let left = ATTEMPTS - 1; ; left--) {
    try {
      return await openOnce(stateFolder);
    } catch (error) {
      if (left === 0 || !(error instanceof Error) || error.cause instanceof OtherVersion) throw error;
      await sleep(PAUSE_MS);
    }
  }
}

async function openOnce(stateFolder: string): Promise<AsyncDisposable & { db: LocalDatabase }> {
  const { workerOptions } = await readWranglerConfig('');
  const { modulesRules: _, assets: __, ...bindings } = workerOptions;
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      resourcePersistencePath: stateFolder,
      ...bindings,
      modules: [{ type: 'ESModule', path: 'index.js', contents: 'export default {}' }],
    }),
  );
  try {
    const db = await miniflare.getD1Database('DB');
    await migrate(db, stateFolder);
    return { db, [Symbol.asyncDispose]: () => miniflare.dispose() };
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
}
