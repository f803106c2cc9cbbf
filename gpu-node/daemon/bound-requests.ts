import type { Server, ServerOptions } from 'node:http';
import { BODY_IDLE_MS } from '../../shared/api/common.ts';

/** Milliseconds for the headers of a request, and for the next bytes of its body. */
export interface RequestBounds {
  headers: number;
  bodyIdle: number;
}

export const REQUEST_BOUNDS: RequestBounds = { headers: 20_000, bodyIdle: BODY_IDLE_MS };

/** What the server has to be made with. */
export function boundedServer({ headers }: RequestBounds = REQUEST_BOUNDS): ServerOptions {
  return { headersTimeout: headers, requestTimeout: 0, connectionsCheckingInterval: headers / 4 };
}

/**
 * Closes the connections of requests that stop coming. What is bounded of a body is how long nothing of it comes, not how long
 * it takes in all: a large one over a slow line is honest.
 */
export function boundBodies(server: Server, { bodyIdle }: RequestBounds = REQUEST_BOUNDS): void {
  server.prependListener('request', (request) => {
    const { socket } = request;
    let bytes = socket.bytesRead;
    let silences = 0;
    // Twice in the time, because after a pause of this process timers come before what has arrived meanwhile.
    const timer = setInterval(() => {
      if (request.complete) return clearInterval(timer);
      // Bytes that wait for whoever reads the body are no silence of the client.
      silences = socket.bytesRead === bytes && request.readableLength === 0 ? silences + 1 : 0;
      bytes = socket.bytesRead;
      if (silences === 2) socket.destroy();
    }, bodyIdle / 2);
    const stop = () => clearInterval(timer);
    request.once('end', stop).once('close', stop);
  });
}
