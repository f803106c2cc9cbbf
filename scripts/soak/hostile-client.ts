import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../gpu-node/random.ts';
import { problemBody } from '../../shared/api/common.ts';
import type { Cluster } from '../../test/support/cluster.ts';

/** Milliseconds for an answer: longer than a client's time and the work around it. */
const PATIENCE_MS = 60_000;
/** Matches parts that no answer may show: a stack, or a place on the server. */
const INNARDS = /\n\s+at |node_modules|\.[tj]s:\d+|SQLITE|D1_ERROR/;

export interface Answer {
  status: number;
  body: unknown;
}

/** A tenant that means harm, or has bugs, and the checks on every answer to it. */
export class HostileClient {
  readonly cluster: Cluster;
  readonly key: string;
  readonly random: Random;
  /** A signal that ends all waiting. */
  readonly over: AbortSignal;
  #names = 0;

  constructor(cluster: Cluster, key: string, random: Random, over: AbortSignal) {
    this.cluster = cluster;
    this.key = key;
    this.random = random;
    this.over = over;
  }

  newName(): string {
    return `hostile-${++this.#names}`;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.random.below(list.length)]!;
  }

  /** @throws {Error} where the edge does not answer, shows its innards, blames itself, or says "later" without a time */
  async call(path: string, init: RequestInit = {}): Promise<Answer> {
    const headers = { authorization: `Bearer ${this.key}`, ...init.headers };
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const response = await fetch(this.cluster.url + path, { ...init, headers, signal });
    const text = await response.text();
    const { status } = response;
    const told = `${init.method ?? 'GET'} ${path} answered ${status}: ${text.slice(0, 300)}`;
    if (INNARDS.test(text)) throw new Error(`${told} shows its innards`);
    if (status === 500 || status === 502) throw new Error(told);
    if (status >= 400 && !problemBody.safeParse(JSON.parse(text)).success)
      throw new Error(`${told} is no problem`);
    if ((status === 429 || status === 503) && !response.headers.has('retry-after')) {
      throw new Error(`${told} does not say when to try again`);
    }
    return { status, body: text === '' ? null : JSON.parse(text) };
  }

  post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const init = { method: 'POST', headers: { 'content-type': 'application/json', ...headers } };
    return this.call(path, { ...init, body: JSON.stringify(body) });
  }

  /** Requires one of these statuses. */
  async expect(statuses: readonly number[], answer: Promise<Answer>): Promise<Answer> {
    const { status, body } = await answer;
    if (statuses.includes(status)) return { status, body };
    throw new Error(
      `the answer is ${status}, not ${statuses.join(' or ')}: ${JSON.stringify(body).slice(0, 300)}`,
    );
  }

  /** Opens a connection to the edge, or to a node, and sends these bytes. */
  async open(bytes: string | Uint8Array, url = this.cluster.url): Promise<Connection> {
    const { hostname, port } = new URL(url);
    const socket = connect({ port: Number(port), host: hostname, allowHalfOpen: true });
    const connection = new Connection(socket);
    socket.write(bytes);
    return connection;
  }

  /** The address of a node. */
  nodeUrl(): string | undefined {
    const node = this.pick(this.cluster.nodes);
    return node.lines.find(({ message }) => message === 'listens')?.url as string | undefined;
  }

  wait(milliseconds: number): Promise<void> {
    return sleep(milliseconds, undefined, { signal: this.over }).catch(() => {});
  }

  head(method: string, path: string, headers: Readonly<Record<string, string>> = {}): string {
    const all = { Host: new URL(this.cluster.url).host, Authorization: `Bearer ${this.key}`, ...headers };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
    return `${[`${method} ${path} HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n`;
  }
}

/** A connection that sends and receives raw bytes. */
export class Connection {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  #text = '';

  constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    // Hostile bytes ask to be cut off.
    socket.on('error', () => {});
    socket.on('end', () => socket.end());
    socket.on('data', (chunk) => {
      this.#text = (this.#text + chunk.toString('latin1')).slice(-100_000);
    });
  }

  /**
   * The status answered within so many milliseconds; undefined where the connection closes without one, or nothing comes.
   * @throws {Error} where the answer shows innards or blames the server
   */
  async status(milliseconds: number): Promise<number | undefined> {
    for (
      let left = milliseconds;
      left > 0 && !this.socket.destroyed && !/\r\n\r\n/.test(this.#text);
      left -= 50
    ) {
      await sleep(50);
    }
    await sleep(50);
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(this.#text)?.[1]) || undefined;
    const told = JSON.stringify(this.#text.slice(0, 600));
    this.socket.destroy();
    if (INNARDS.test(this.#text)) throw new Error(`a raw answer shows its innards: ${told}`);
    if (status === 500 || status === 502) throw new Error(`a raw answer is ${told}`);
    return status;
  }

  /** True if the server closes the connection within so many milliseconds, or the soak ends. */
  async isClosedWithin(milliseconds: number, over: AbortSignal): Promise<boolean> {
    const first = await Promise.race([
      this.closed.then(() => true),
      sleep(milliseconds, false, { signal: over, ref: false }).catch(() => true),
    ]);
    this.socket.destroy();
    return first;
  }
}
