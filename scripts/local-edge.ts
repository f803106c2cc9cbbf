import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { build } from 'esbuild';
import { convertV4MiniflareOptions, Miniflare } from 'miniflare';
import { buildConsole } from './build-console.ts';
import { migrate, readWranglerConfig } from './local-database.ts';
import type { LocalDatabase } from './migrations.ts';

const HOST = '127.0.0.1';
/** Host names of this machine. */
const OWN_HOSTS = [HOST, 'localhost', '[::1]'];
/** The Worker behind Miniflare's own entry, and of the static assets, which never reach it. */
const CLOSED = [
  {
    type: 'ESModule' as const,
    path: 'closed.js',
    contents: "export default { fetch: () => new Response('There is nothing here.', { status: 404 }) };",
  },
];

/** The edge on this machine: the real Worker in workerd, with D1 and R2 on disk. */
export interface LocalEdge {
  url: string;
  /** Does the minutely work of Cloudflare's cron. */
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
  /** Host names by which it may be called, beside those of this machine. */
  hosts?: readonly string[];
}

const DEVELOPMENT_TENANT = 'dev';

/**
 * Migrates, then listens. The Worker itself listens, not Miniflare's entry, which would take any URL from a header and answer with stacks.
 * That entry cannot be left out: it leads nowhere, on an unpublished port, and cannot reach the Worker, whose name there cannot be guessed.
 * @throws {Error} where the port is taken, saying so and how to choose another.
 */
export async function startEdge(options: LocalEdgeOptions): Promise<LocalEdge> {
  const { stateFolder, port, key } = options;
  await assertPortFree(port);
  await buildConsole();
  const name = `edge-${randomBytes(16).toString('hex')}`;
  const { worker, assets } = await edgeWorkers(name, options);
  const withWorker = (more: object) =>
    convertV4MiniflareOptions({
      resourcePersistencePath: stateFolder,
      handleStructuredLogs: ({ level, message }) => {
        if (level === 'error' || level === 'warn') console.error(message);
      },
      workers: [{ name: 'closed', modules: CLOSED }, { ...worker, ...more }, assets],
    });
  const miniflare = new Miniflare(withWorker({}));
  try {
    const db = await miniflare.getD1Database('DB', name);
    await migrate(db, stateFolder);
    await seedDevelopmentKey(db, key);
    await miniflare.setOptions(withWorker({ unsafeDirectSockets: [{ host: HOST, port }] }));
    const url = (await miniflare.unsafeGetDirectURL(name)).origin;
    const runCron = async () => {
      await (await miniflare.getWorker(name)).scheduled({ cron: '* * * * *' });
    };
    return { url, runCron, stop: () => miniflare.dispose() };
  } catch (error) {
    await miniflare.dispose();
    throw error;
  }
}

/**
 * The Worker of `wrangler.toml`, which answers to the names of this machine. Its static assets are a Worker beside it: of one Worker,
 * Miniflare would send every request of the API through two Workers more.
 */
async function edgeWorkers(name: string, { nodeSecret, hosts = [] }: LocalEdgeOptions) {
  const { workerOptions, main } = await readWranglerConfig(nodeSecret);
  const { modulesRules: _, assets, ...options } = workerOptions;
  const ALLOWED_HOSTS = [...OWN_HOSTS, ...hosts].join(',');
  const { binding, directory } = assets as { binding: string; directory: string };
  const worker = {
    ...options,
    name,
    modules: [{ type: 'ESModule' as const, path: 'index.js', contents: await bundle(main!) }],
    bindings: { ...(options.bindings as object), NODE_SECRET: nodeSecret, ALLOWED_HOSTS },
    serviceBindings: { [binding]: `${name}-assets` },
  };
  return { worker, assets: { name: `${name}-assets`, modules: CLOSED, assets: { directory } } };
}

/** Stores the development key, which has no name and no limit by the minute, and revokes the one it replaces. */
async function seedDevelopmentKey(db: LocalDatabase, key: string): Promise<void> {
  const hash = createHash('sha256').update(key).digest('hex');
  const now = Math.floor(Date.now() / 1000);
  await db.batch([
    db
      .prepare(
        'UPDATE api_keys SET revoked_at = ? WHERE tenant = ? AND hash <> ? AND name IS NULL AND revoked_at IS NULL',
      )
      .bind(now, DEVELOPMENT_TENANT, hash),
    db
      .prepare(
        'INSERT INTO api_keys (hash, tenant, created_at, role) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET revoked_at = NULL, role = excluded.role',
      )
      .bind(hash, DEVELOPMENT_TENANT, now, 'operator'),
    db
      .prepare(
        'INSERT INTO tenant_limits (tenant, requests_per_minute, tokens_per_minute) VALUES (?, 0, 0) ON CONFLICT DO NOTHING',
      )
      .bind(DEVELOPMENT_TENANT),
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
