import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { build } from 'esbuild';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { migrate, readWranglerConfig } from './local-database.ts';
import type { LocalDatabase } from './migrations.ts';

const HOST = '127.0.0.1';
/** What this machine is called by itself. */
const ALLOWED_HOSTS = '127.0.0.1,localhost,[::1]';

/** The edge on this machine: the real Worker in workerd, with D1 and R2 on disk. */
export interface LocalEdge {
  url: string;
  /** What Cloudflare's cron does every minute. */
  runCron(): Promise<void>;
  stop(): Promise<void>;
}

export interface LocalEdgeOptions {
  /** Folder of D1 and R2; see `edgeStateFolder`. */
  stateFolder: string;
  /** 0 lets the system choose. */
  port: number;
  nodeSecret: string;
  /** The development key, which only a local edge has. */
  key: string;
}

const DEVELOPMENT_TENANT = 'dev';

/** @throws {Error} saying so and how to choose another where the port is taken. */
export async function startEdge({
  stateFolder,
  port,
  nodeSecret,
  key,
}: LocalEdgeOptions): Promise<LocalEdge> {
  await assertPortFree(port);
  const { workerOptions, main } = await readWranglerConfig(nodeSecret);
  const { modulesRules: _, ...bindings } = workerOptions;
  const script = await bundle(main!);
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      resourcePersistencePath: stateFolder,
      handleStructuredLogs: ({ level, message }) => {
        if (level === 'error' || level === 'warn') console.error(message);
      },
      ...bindings,
      modules: [{ type: 'ESModule', path: 'index.js', contents: script }],
      bindings: { ...(bindings.bindings as object), NODE_SECRET: nodeSecret, ALLOWED_HOSTS },
      // The Worker itself, without Miniflare's entry, which lets headers replace the path and shows stacks.
      unsafeDirectSockets: [{ host: HOST, port }],
    }),
  );
  try {
    await miniflare.ready;
    const url = (await miniflare.unsafeGetDirectURL()).origin;
    const db = await miniflare.getD1Database('DB');
    await migrate(db, stateFolder);
    await seedDevelopmentKey(db, key);
    const runCron = async () => {
      const worker = await miniflare.getWorker();
      await worker.scheduled({ cron: '* * * * *' });
    };
    return { url, runCron, stop: () => miniflare.dispose() };
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
}

/** A development key that this one replaces is revoked. */
async function seedDevelopmentKey(db: LocalDatabase, key: string): Promise<void> {
  const hash = createHash('sha256').update(key).digest('hex');
  const now = Math.floor(Date.now() / 1000);
  await db.batch([
    db
      .prepare('UPDATE api_keys SET revoked_at = ? WHERE tenant = ? AND hash <> ? AND revoked_at IS NULL')
      .bind(now, DEVELOPMENT_TENANT, hash),
    db
      .prepare(
        'INSERT INTO api_keys (hash, tenant, created_at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET revoked_at = NULL',
      )
      .bind(hash, DEVELOPMENT_TENANT, now),
  ]);
}

async function bundle(entry: string): Promise<string> {
  const result = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['node:*', 'cloudflare:*'],
    logLevel: 'error',
  });
  return result.outputFiles[0]!.text;
}

async function assertPortFree(port: number): Promise<void> {
  if (port === 0) return;
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(port, HOST, resolve);
    });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'EADDRINUSE') throw cause;
    const way = 'choose another, as in "PORT=8788 npm start", or PORT=0 for any free one';
    throw new Error(`port ${port} is taken: ${way}`, { cause });
  }
  await new Promise((resolve) => server.close(resolve));
}
