import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { NodeDaemon } from '../../support/node-daemon.ts';

const SECRET = 'secret-of-the-node';
// A URL, because NODE_OPTIONS would part a path at its blanks.
const CARELESS = new URL('../../support/careless.ts', import.meta.url).href;
const UNHANDLED = 'an error that nothing handled';
const ROUNDS = 20;

let folder: string;
let daemon: NodeDaemon;
let url: URL;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-connections-'));
  daemon = new NodeDaemon({
    // No edge is there: the node serves its HTTP all the same.
    WEFT_EDGE_URL: 'http://127.0.0.1:1',
    WEFT_NODE_SECRET: SECRET,
    WEFT_HOME: folder,
    NODE_OPTIONS: `--import=${CARELESS}`,
  });
  url = new URL(String((await daemon.said('listens')).url));
});
afterAll(async () => {
  await daemon[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const health = async () =>
  ((await (await fetch(new URL('/health', url))).json()) as { status: string }).status;

const request = (...more: string[]) =>
  [
    'POST /internal/classify HTTP/1.1',
    'Host: localhost',
    `Authorization: Bearer ${SECRET}`,
    ...more,
    '',
    '',
  ].join('\r\n');
const END = (socket: Socket) => socket.end();
const RESET = (socket: Socket) => socket.resetAndDestroy();

/** What a connection sends, and how it ends. */
const CONNECTIONS: readonly [string, string, (socket: Socket) => unknown][] = [
  ['a body that ends early', `${request('Content-Length: 100')}{"rows":`, END],
  ['a body that is reset', `${request('Content-Length: 100')}{"rows":`, RESET],
  ['a bad chunk size', `${request('Transfer-Encoding: chunked')}zz\r\n{}\r\n`, END],
  ['a chunk that is reset', `${request('Transfer-Encoding: chunked')}ff\r\n{}`, RESET],
  ['more than is read', request('Content-Length: 9000000') + 'x'.repeat(100_000), RESET],
  ['a whole request, and leaves', `${request('Content-Length: 2')}{}`, RESET],
  ['headers that end early', 'POST /internal/classify HTTP/1.1\r\nHost:', RESET],
  ['no HTTP', '\x16\x03\x01\x00\x00', END],
];

it.each(CONNECTIONS)('a connection of %s costs a node nothing else', async (_what, bytes, end) => {
  const before = daemon.lines.length;
  await Promise.all(
    Array.from({ length: ROUNDS }, async () => {
      const socket = connect(Number(url.port), url.hostname).on('error', () => {});
      const closed = once(socket, 'close');
      socket.resume().write(bytes, () => end(socket));
      await closed;
    }),
  );
  expect(await health()).toBe('ok');
  expect(daemon.lines.slice(before).map(({ message }) => message)).not.toContain(UNHANDLED);
});

it('a node goes on after errors that nothing handled, and says where they came from', async () => {
  daemon.signal('SIGUSR2');
  const reasons = () => daemon.lines.filter(({ message }) => message === UNHANDLED);
  await expect.poll(reasons).toMatchObject([
    { level: 'error', origin: 'uncaughtException', reason: 'an event that nobody expected' },
    { level: 'error', origin: 'unhandledRejection', reason: 'a promise that nobody held' },
  ]);
  expect(reasons()[0]!.stack).toContain('careless.ts');
  expect(await health()).toBe('ok');
});
