import type { Server, ServerOptions } from 'node:http';
import { BODY_IDLE_MS } from '../../shared/api/common.ts';

/** Milliseconds for the headers of a request, and for the next bytes of its body. */
export interface RequestBounds {
  headers: number;
  bodyIdle: number;
}

export const REQUEST_BOUNDS: RequestBounds = { headers: 20_000, bodyIdle: BODY_IDLE_MS };

/** Options for making the server. */
export function boundedServer({ headers }: RequestBounds = REQUEST_BOUNDS): ServerOptions {
  return { headersTimeout: headers, requestTimeout: 0, connectionsCheckingInterval: headers / 4 };
}

/**
 * Closes the connections of requests that stop arriving. Only the silence within a body is bounded, not its total time: a large body over a
 * slow line is honest.
 */
export function boundBodies(server: Server, { bodyIdle }: RequestBounds = REQUEST_BOUNDS): void {
  server.prependListener('request', (request) => {
    const { socket } = request;
    let bytes = socket.bytesRead;
    let silences = 0;
    // The timer fires twice within the bound: after a pause of this process, timers run before the bytes that arrived meanwhile are read.
    const timer = setInterval(() => {
      if (request.complete) return clearInterval(timer);
      // Unread bytes mean that the reader is slow, not that the client is silent.
      silences = socket.bytesRead === bytes && request.readableLength === 0 ? silences + 1 : 0;
      bytes = socket.bytesRead;
      if (silences === 2) socket.destroy();
    }, bodyIdle / 2);
    const stop = () => clearInterval(timer);
    request.once('end', stop).once('close', stop);
  });
}
