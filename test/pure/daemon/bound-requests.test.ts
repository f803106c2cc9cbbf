import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { boundBodies, boundedServer } from '../../../gpu-node/daemon/bound-requests.ts';

const BOUNDS = { headers: 100, bodyIdle: 100 };
const server = createServer(boundedServer(BOUNDS), async (request, response) => {
  response.end(await text(request).catch(() => ''));
});
boundBodies(server, BOUNDS);
beforeAll(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
});
afterAll(() => void server.close());

const port = () => (server.address() as AddressInfo).port;

it.each([
  ['headers', 'POST / HTTP/1.1\r\nHost:'],
  ['a body', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{'],
  ['a chunk', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{'],
])('closes the connection of %s that stops coming', async (_what, bytes) => {
  const socket = connect(port(), '127.0.0.1').on('error', () => {});
  socket.write(bytes);
  await text(socket.resume()).catch(() => '');
  expect(socket.readyState).not.toBe('open');
});

it('leaves a body that keeps coming, however long it takes', async () => {
  const pieces = 6;
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, BOUNDS.bodyIdle / 4));
      if (sent++ < pieces) controller.enqueue(new TextEncoder().encode('x'));
      else controller.close();
    },
  });
  const init = { method: 'POST', body, duplex: 'half' };
  const answer = await fetch(`http://127.0.0.1:${port()}`, init as RequestInit);
  expect(await answer.text()).toBe('x'.repeat(pieces));
});
