import type { IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { startServer } from './http-server.ts';

/** A node's call as it passes: when it begins, and when the edge has done what it asks but the node does not know it. */
export interface PassingCall {
  readonly method: string;
  readonly path: string;
  /** Empty while it begins. */
  readonly body: string;
  readonly when: 'begins' | 'is done';
}

/** Stands between nodes and the edge, and lets a test act at a moment of a call. */
export class EdgeProxy implements AsyncDisposable {
  /** Called at each moment of each call, which waits for what it returns: an answer stands in for the edge's. */
  onCall: (call: PassingCall) => undefined | Response | Promise<Response> = () => undefined;
  readonly url: string;
  readonly #close: () => Promise<void>;

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url;
    this.#close = close;
  }

  static async start(target: string): Promise<EdgeProxy> {
    const pass = ({ method = 'GET', url, headers }: IncomingMessage, body: Buffer) => {
      const { host: _host, connection: _connection, ...rest } = headers;
      const forwarded = rest as Record<string, string>;
      return fetch(target + url, { method, headers: forwarded, ...(body.length > 0 && { body }) });
    };
    const server = await startServer(async (request, response) => {
      const { method = 'GET', url: path = '/' } = request;
      try {
        const instead = await proxy.onCall({ method, path, body: '', when: 'begins' });
        const body = await buffer(request);
        const answer = instead ?? (await pass(request, body));
        const bytes = Buffer.from(await answer.arrayBuffer());
        if (!instead) await proxy.onCall({ method, path, body: body.toString('latin1'), when: 'is done' });
        response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
        response.end(bytes);
      } catch {
        // Whoever called is gone.
        response.destroy();
      }
    });
    const proxy: EdgeProxy = new EdgeProxy(server.url, async () => server[Symbol.asyncDispose]());
    return proxy;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }
}
