import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Cluster, KEY, SECRET } from '../../support/cluster.ts';
import { parseExposition } from '../../support/exposition.ts';

const NAMES = ['red', 'green'];
let cluster: Cluster;
let node: { url: string; pid: number };

beforeAll(async () => {
  cluster = await Cluster.start(1);
  await cluster.import(...NAMES);
  const [daemon] = cluster.nodes;
  node = { url: String((await daemon!.said('listens')).url), pid: daemon!.pid };
});
afterAll(() => cluster[Symbol.asyncDispose]());

/** A gauge of the node. */
async function gauge(name: string): Promise<number | undefined> {
  const families = parseExposition(await (await fetch(`${node.url}/metrics`)).text());
  return families.get(`weft_${name}`)?.series.get('{}');
}

/** Sockets and files that the daemon has open, where the system says so. */
function openFiles(): number {
  try {
    return readdirSync(`/proc/${node.pid}/fd`).length;
  } catch {
    return 0;
  }
}

/** Bytes of memory that the daemon holds, where the system says so. */
function memory(): number {
  try {
    const status = readFileSync(`/proc/${node.pid}/status`, 'utf8');
    return 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Everything that waited has left, and every connection is closed. */
async function expectCalm(filesBefore: number): Promise<void> {
  await expect.poll(() => gauge('queue_rows')).toBe(0);
  expect(await gauge('queue_tokens')).toBe(0);
  // The edge's connections stay open for a while, but not one a request.
  await expect.poll(openFiles, { timeout: 30_000 }).toBeLessThan(filesBefore + 100);
}

/** An HTTP request in bytes, to the edge or with the node's secret to the node. */
function request(path: string, key: string, body: string): string {
  const head = [
    `POST ${path} HTTP/1.1`,
    'Host: localhost',
    `Authorization: Bearer ${key}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}

/** Connections that have sent as many bytes of what they want to say. */
function open(url: string, count: number, text: string): Promise<Socket[]> {
  const { hostname, port } = new URL(url);
  return Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect(Number(port), hostname);
      // What becomes of it is seen elsewhere.
      socket.on('error', () => {});
      await once(socket, 'connect');
      await new Promise((resolve) => socket.write(text, resolve));
      return socket;
    }),
  );
}

const classification = (rows: number) =>
  JSON.stringify({ input: Array.from({ length: rows }, () => ({ model: 'red', text: 'fox '.repeat(40) })) });

it('500 requests at once are all answered right', async () => {
  const before = openFiles();
  const load = cluster.load({ connections: 500, maxRows: 2 });
  await load.more(1000);
  expect(await load.stop()).toEqual({ wrong: [], failed: {} });
  await expectCalm(before);
  const after = memory();
  const again = cluster.load({ connections: 500, maxRows: 2 });
  await again.more(1500);
  expect(await again.stop()).toEqual({ wrong: [], failed: {} });
  // What one flood took is there for the next.
  expect(memory() - after).toBeLessThan(100e6);
});

it('clients that vanish leave nothing in the queue', async () => {
  const before = openFiles();
  const load = cluster.load({ connections: 4 });
  await load.more(10);
  for (let round = 0; round < 5; round++) {
    for (const socket of await open(cluster.url, 20, request('/v1/classify', KEY, classification(64)))) {
      socket.destroy();
    }
    await load.more(10);
  }
  expect(await load.stop()).toEqual({ wrong: [], failed: {} });
  await expectCalm(before);
});

it('clients that stop in the middle of a request, or read nothing, keep nobody waiting', async () => {
  const before = openFiles();
  const asked = request('/v1/classify', KEY, classification(64));
  const askedNode = request('/internal/classify', SECRET, '{"rows":[]}');
  const stalled = [
    ...(await open(cluster.url, 100, asked.slice(0, -10))),
    ...(await open(node.url, 100, askedNode.slice(0, -5))),
    ...(await open(node.url, 100, askedNode.slice(0, 30))),
    ...(await open(cluster.url, 20, asked)),
  ];
  for (const socket of stalled) socket.pause();
  const load = cluster.load({ connections: 8 });
  await load.more(100);
  expect(await load.stop()).toEqual({ wrong: [], failed: {} });
  for (const socket of stalled) socket.destroy();
  await expectCalm(before);
});
