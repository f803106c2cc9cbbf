import { startEdgeProcess } from './edge-process.ts';
import { edgeStateFolder, holdHome, homeFolder, nodeSecret } from './home.ts';
import type { LocalEdge } from './local-edge.ts';
import { NodeProcess } from './node-process.ts';

const DEFAULT_PORT = 8787;
const DEFAULT_KEY = 'weft-dev';
const CRON_MS = 60_000;

export interface PlatformOptions {
  /** Port of the edge. Default: `PORT`, else 8787; 0 lets the system choose. */
  port?: number;
  /** Folder of the platform's state. Default: `WEFT_HOME`, else `.weft`. */
  home?: string;
  /** The development key. Default: `WEFT_API_KEY`, else `weft-dev`. */
  key?: string;
  /** Settings of the node daemon beyond those of this process, e.g. `{ WEFT_THREADS: '2' }`. */
  nodeEnv?: Record<string, string>;
  log?: (line: string) => void;
  /** A signal that, aborted while the platform starts, stops what has been started. */
  signal?: AbortSignal;
}

/** The whole platform on this machine: one edge and one node, each in a process of its own. */
export interface Platform extends AsyncDisposable {
  url: string;
  key: string;
  home: string;
  /** Runs the edge's cron now; otherwise it runs every minute. */
  runCron(): Promise<void>;
  /** Rejects if the edge ends by itself. A node that ends is started again. */
  failed: Promise<never>;
  /** Drains the node, then ends the edge. */
  stop(): Promise<void>;
}

/**
 * Brings the platform up; resolves once the node has registered. State is kept under the home.
 * @throws {Error} where the key cannot be sent in a header, the port is taken, the home is in use, or the node cannot start.
 */
export async function startPlatform(options: PlatformOptions = {}): Promise<Platform> {
  const { log = console.log, signal, port = portFromEnv() } = options;
  const home = homeFolder(options.home);
  const key = options.key ?? (process.env.WEFT_API_KEY || DEFAULT_KEY);
  if (!/^[\x21-\x7e]{1,256}$/.test(key)) {
    throw new Error('WEFT_API_KEY must have 1 to 256 printable ASCII characters, and no space');
  }
  signal?.throwIfAborted();
  const undo: (() => Promise<void>)[] = [];
  const stop = once(async () => {
    for (const step of undo.splice(0).reverse()) await step();
  });
  try {
    undo.push(await holdHome(home));
    const secret = await nodeSecret(home);
    const stateFolder = edgeStateFolder(home);
    log(`starting the edge: its database under ${home}, then the Worker`);
    const edge = await startEdgeProcess({
      stateFolder,
      port,
      nodeSecret: secret,
      key,
      hosts: hostsFromEnv(),
    });
    undo.push(edge.stop);
    signal?.throwIfAborted();
    undo.push(everyMinute(edge, log));
    const env = {
      ...process.env,
      ...options.nodeEnv,
      WEFT_EDGE_URL: edge.url,
      WEFT_NODE_SECRET: secret,
      WEFT_HOME: home,
    };
    log(`the edge listens at ${edge.url}; starting a node: its base model, then its sessions`);
    const node = new NodeProcess(env, log);
    undo.push(() => node.stop());
    await node.start(signal);
    const { url, runCron, failed } = edge;
    return { url, key, home, runCron, failed, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function portFromEnv(): number {
  const given = process.env.PORT;
  if (!given) return DEFAULT_PORT;
  const port = Number(given);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new Error(`PORT is ${JSON.stringify(given)}; it must be 0 to 65535`);
}

/** Reads `WEFT_HOSTS`: names by which the edge may be called, beside those of this machine, separated by commas. */
function hostsFromEnv(): string[] {
  const names = (process.env.WEFT_HOSTS ?? '').split(',').map((name) => name.trim().toLowerCase());
  return names.filter((name) => name !== '');
}

/** Runs the cron every minute, because Miniflare never fires it. */
function everyMinute(edge: LocalEdge, log: (line: string) => void): () => Promise<void> {
  const timer = setInterval(() => {
    edge
      .runCron()
      .catch((error) => log(`the edge's cron failed: ${error instanceof Error ? error.message : error}`));
  }, CRON_MS);
  return async () => clearInterval(timer);
}

function once(action: () => Promise<void>): () => Promise<void> {
  let result: Promise<void> | undefined;
  return () => {
    result ??= action();
    return result;
  };
}
