import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type EdgeProcess, startEdgeProcess } from '../../scripts/edge-process.ts';
import { edgeStateFolder } from '../../scripts/home.ts';
import {
  ADAPTER_CONFIG_FILE,
  ADAPTER_WEIGHTS_FILE,
  type LayoutFile,
  WEFT_FILE,
} from '../../shared/adapter-format.ts';
import { Catalogue } from './catalogue.ts';
import { importForm } from './import-form.ts';
import { Load, type LoadOptions } from './load.ts';
import { NodeDaemon } from './node-daemon.ts';
import { MAX_LENGTH, Oracle } from './oracle.ts';
import { toyTexts } from './toy-task.ts';

export const SECRET = 'secret-of-the-nodes';
export const KEY = 'key-of-a-client';
const KEYS = fileURLToPath(new URL('../../scripts/keys.ts', import.meta.url));
/** Adapters imported at once. */
const IMPORTS = 8;
const TRAINING_ROWS = 48;
/** A training of a second or two, whose adapter the oracle can run. */
const TRAINING = {
  method: {
    type: 'lora',
    r: 4,
    target_modules: ['query', 'value'],
    pooling: 'mean',
    base_precision: 'fp32',
  },
  hyperparameters: { epochs: 2, batch_size: 8, learning_rate: 1e-2, max_length: MAX_LENGTH },
};
/** Between two questions whether a training has ended. */
const POLL_MS = 50;

/** An edge and node daemons, each in processes of their own, with adapters whose answers are known. */
export class Cluster implements AsyncDisposable {
  readonly catalogue = new Catalogue();
  readonly oracle: Oracle;
  readonly nodes: NodeDaemon[] = [];
  readonly folder: string;
  /** Set when nodes are ended because all is over. */
  isClosing = false;
  #edge: EdgeProcess;
  /** Settings of each node. */
  readonly #env: Record<string, string>[] = [];
  /** Of the last adapter. */
  #seed = 0;

  private constructor(folder: string, edge: EdgeProcess, oracle: Oracle) {
    this.folder = folder;
    this.#edge = edge;
    this.oracle = oracle;
  }

  /** Starts an edge and so many nodes, all of which it has taken then. */
  static async start(nodes: number, env: Record<string, string> = {}): Promise<Cluster> {
    const folder = await mkdtemp(join(tmpdir(), 'weft cluster-'));
    const cluster = new Cluster(folder, await startEdgeAt(folder, 0), await Oracle.open());
    try {
      await Promise.all(Array.from({ length: nodes }, () => cluster.startNode(env)));
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  get url(): string {
    return this.#edge.url;
  }

  /** Another node, which the edge has taken then; it is ended with the cluster. */
  async startNode(env: Record<string, string> = {}): Promise<void> {
    const index = this.#env.push(env) - 1;
    await this.restartNode(index);
  }

  /** Starts a node that has ended on what it left on disk. */
  async restartNode(index: number): Promise<void> {
    const node = new NodeDaemon({
      WEFT_EDGE_URL: this.url,
      WEFT_NODE_SECRET: SECRET,
      WEFT_HOME: join(this.folder, `node ${index}`),
      ...this.#env[index],
    });
    this.nodes[index] = node;
    await node.said('registered');
  }

  get edgePid(): number {
    return this.#edge.pid;
  }

  /** Stops the edge, and starts it on the same port and state once `whileDown` is done. */
  async restartEdge(whileDown: () => Promise<unknown>): Promise<void> {
    const port = Number(new URL(this.url).port);
    await this.#edge.stop();
    await whileDown();
    this.#edge = await startEdgeAt(this.folder, port);
  }

  /** A new version of each name, ready. */
  async import(...names: string[]): Promise<void> {
    const left = [...names];
    const worker = async () => {
      for (let name = left.shift(); name !== undefined; name = left.shift()) await this.#import(name);
    };
    await Promise.all(Array.from({ length: IMPORTS }, worker));
  }

  /** A new version of a name, trained by one of the nodes, ready. */
  train(name: string): Promise<void> {
    const seed = ++this.#seed;
    return this.catalogue.add(name, seed, async () => {
      const examples = toyTexts(TRAINING_ROWS, seed);
      const response = await this.call('/v1/adapters', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name, examples, ...TRAINING }),
      });
      const { id } = (await response.json()) as { id: string };
      await this.#trained(id);
      const file = async (of: LayoutFile<'peft'>) => {
        const sent = await this.call(`/v1/adapters/${id}/files/${of}`);
        return new Uint8Array(await sent.arrayBuffer());
      };
      this.oracle.learn(seed, {
        [ADAPTER_CONFIG_FILE]: await file(ADAPTER_CONFIG_FILE),
        [ADAPTER_WEIGHTS_FILE]: await file(ADAPTER_WEIGHTS_FILE),
        [WEFT_FILE]: await file(WEFT_FILE),
      });
      return id;
    });
  }

  /** Deletes the newest version of a name. */
  remove(name: string): Promise<void> {
    return this.catalogue.removeNewest(name, async (ref) => {
      await this.call(`/v1/adapters/${ref}`, { method: 'DELETE' });
    });
  }

  load(options: Pick<LoadOptions, 'connections'> & Partial<LoadOptions>): Load {
    return new Load({ url: this.url, key: KEY, catalogue: this.catalogue, oracle: this.oracle, ...options });
  }

  /** @throws with what the edge says where it refuses */
  async call(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = { authorization: `Bearer ${KEY}`, ...init.headers };
    const response = await fetch(this.url + path, { ...init, headers });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response;
  }

  /** A key of another tenant, made as an operator makes one. */
  async keyOf(tenant: string): Promise<string> {
    const env = { ...process.env, WEFT_HOME: this.folder };
    const { stdout } = await promisify(execFile)(process.execPath, [KEYS, 'create', tenant], { env });
    return stdout.split('\n')[0]!;
  }

  /** Runs the edge's cron, which Miniflare never does by itself. */
  runCron(): Promise<void> {
    return this.#edge.runCron();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isClosing = true;
    await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()));
    await this.#edge.stop();
    await this.oracle[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true });
  }

  /** Waits for a training to end. @throws where it does not end in an adapter */
  async #trained(id: string): Promise<void> {
    for (;;) {
      const response = await this.call(`/v1/adapters/${id}`);
      const { status } = (await response.json()) as { status: string };
      if (status === 'ready') return;
      if (status !== 'queued' && status !== 'training') throw new Error(`the training of ${id} is ${status}`);
      await sleep(POLL_MS);
    }
  }

  #import(name: string): Promise<void> {
    const seed = ++this.#seed;
    return this.catalogue.add(name, seed, async () => {
      const form = importForm(name, this.oracle.bundle(seed), { maxLength: MAX_LENGTH });
      const response = await this.call('/v1/adapters/import', { method: 'POST', body: form });
      return ((await response.json()) as { id: string }).id;
    });
  }
}

function startEdgeAt(folder: string, port: number): Promise<EdgeProcess> {
  return startEdgeProcess({ stateFolder: edgeStateFolder(folder), port, nodeSecret: SECRET, key: KEY });
}
