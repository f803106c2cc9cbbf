import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { createInterface } from 'node:readline';
import { NODE_ARGUMENTS } from '../../scripts/node-process.ts';
import { processMemory } from '../process-memory.ts';
import type { Bench } from './bench.ts';
import { startStandInEdge } from './stand-in-edge.ts';

const SECRET = 'secret-of-the-bench';

/** Bytes of adapters' memory that hold about half of a thousand adapters of r 8. */
export const LITTLE_MEMORY = 160 * 2 ** 20;

/** A server of `POST {rows: [{bundle, text}]}`, such as the node daemon. */
export interface Served {
  readonly url: string;
  readonly token: string;
}

/** A node daemon in a process of its own, on the adapters in its cache folder. */
export class Daemon implements Served, AsyncDisposable {
  readonly url: string;
  readonly token = SECRET;
  readonly #child: ChildProcess;
  readonly #edge: Server;

  private constructor(child: ChildProcess, url: string, edge: Server) {
    this.#child = child;
    this.#edge = edge;
    this.url = `${url}/internal/classify`;
  }

  /** Starts a daemon with `memoryBytes` for adapters, or its default. */
  static async start({ home, source, threads }: Bench, memoryBytes?: number): Promise<Daemon> {
    const edge = await startStandInEdge();
    const child = spawn(process.execPath, NODE_ARGUMENTS, {
      env: {
        ...process.env,
        WEFT_EDGE_URL: edge.url,
        WEFT_NODE_SECRET: SECRET,
        WEFT_HOME: home,
        WEFT_BASE_MODEL: source.folder,
        WEFT_THREADS: String(threads),
        ...(memoryBytes !== undefined && { WEFT_MEMORY_BYTES: String(memoryBytes) }),
      },
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    const lines = createInterface({ input: child.stdout! });
    let address = '';
    for await (const line of lines) {
      const { message, url } = JSON.parse(line) as { message: string; url?: string };
      if (message === 'listens') address = url!;
      if (message !== 'registered') continue;
      child.stdout!.resume();
      return new Daemon(child, address, edge.server);
    }
    throw new Error('the node daemon ended before it listened');
  }

  /** Starts loading adapters ahead of their use. */
  async warm(bundles: readonly string[]): Promise<void> {
    const response = await fetch(new URL('/internal/warm', this.url), {
      method: 'POST',
      headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ bundles }),
    });
    if (!response.ok) throw new Error(`the daemon answered ${response.status}: ${await response.text()}`);
    const { accepted } = (await response.json()) as { accepted: number };
    if (accepted < bundles.length)
      throw new Error(`the daemon warms ${accepted} of ${bundles.length} adapters`);
  }

  /** Number of adapters that the daemon has loaded into memory since its start. */
  async loads(): Promise<number> {
    const response = await fetch(new URL('/metrics', this.url));
    return Number(/^weft_adapter_loads_total\{outcome="ok"\} (\d+)$/m.exec(await response.text())?.[1] ?? 0);
  }

  /** The process's memory. */
  memory(): ReturnType<typeof processMemory> {
    return processMemory(this.#child.pid!);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGTERM');
    await once(this.#child, 'exit');
    this.#edge.closeAllConnections();
    this.#edge.close();
  }
}
