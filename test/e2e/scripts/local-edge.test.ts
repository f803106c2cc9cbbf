import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { edgeStateFolder } from '../../../scripts/home.ts';
import { type LocalEdge, startEdge } from '../../../scripts/local-edge.ts';

let folder: string;
let edge: LocalEdge;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-local-edge-'));
  edge = await startEdge({
    stateFolder: edgeStateFolder(folder),
    port: 0,
    nodeSecret: 'secret',
    key: 'weft-dev',
    hosts: ['weft.example'],
  });
});
afterAll(async () => {
  await edge?.stop();
  await rm(folder, { recursive: true });
});

/** The whole answer to a request in bytes. */
async function answerTo(...head: string[]): Promise<string> {
  const { port, hostname } = new URL(edge.url);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true }).setEncoding('latin1');
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.end(`${[...head, 'Authorization: Bearer weft-dev', 'Connection: close'].join('\r\n')}\r\n\r\n`);
  await once(socket, 'close');
  return text;
}

const statusOf = (answer: string) => Number(answer.split(' ')[1]);

it('answers to the names of this machine, and to those it is given', async () => {
  for (const host of ['127.0.0.1', 'localhost', 'LOCALHOST:8787', '[::1]:1', 'weft.example']) {
    expect(statusOf(await answerTo('GET /v1/models HTTP/1.1', `Host: ${host}`))).toBe(200);
  }
});

it('answers to no other, as a web page whose name was pointed here would use', async () => {
  for (const host of [
    'evil.example',
    'evil.example:8787',
    'a b',
    'localhost.evil.example',
    '127.0.0.1@evil',
    '',
  ]) {
    expect(statusOf(await answerTo('GET /v1/models HTTP/1.1', `Host: ${host}`))).toBeOneOf([400, 404]);
  }
  const two = await answerTo('GET /v1/models HTTP/1.1', 'Host: localhost', 'Host: evil.example');
  expect(statusOf(two)).toBe(404);
});

it('takes the path from the request alone', async () => {
  const answer = await answerTo(
    'GET /v1/adapters/none HTTP/1.1',
    'Host: localhost',
    'MF-Original-URL: http://x/health',
  );
  expect(statusOf(answer)).toBe(404);
  expect(answer).toContain('adapter_not_found');
});

it('shows no stack and no path of this machine, whatever is asked', async () => {
  for (const line of [
    'OPTIONS *',
    'GET //x',
    'GET /%',
    'GET /%00%ff?%',
    'GET http://evil/health',
    'FOO /',
    'CONNECT x:1',
    'GET /cdn-cgi/local/explorer',
  ]) {
    const answer = await answerTo(`${line} HTTP/1.1`, 'Host: localhost', 'MF-Original-URL: nonsense');
    expect(answer, line).toMatch(/^HTTP\/1\.1 \d{3} /);
    expect(answer, line).not.toMatch(/\n\s+at |node_modules|\.ts:|\/tmp\//);
  }
});

it.each(['Content-Length: 100', 'Transfer-Encoding: chunked'])(
  'lets a body that breaks off, of %s, be the client’s to mend',
  async (length) => {
    const answer = await answerTo(
      'POST /v1/classify HTTP/1.1',
      'Host: localhost',
      'Content-Type: application/json',
      length,
    );
    // Where workerd gives the connection up, there is no answer.
    if (answer !== '') expect(statusOf(answer)).toBe(400);
  },
);

it('takes 95 MB whole', async () => {
  const row = `${JSON.stringify({ text: 'x'.repeat(9_000), label: 'a' })}\n`;
  const rows = Math.floor(95e6 / row.length) - 1;
  const form = new FormData();
  form.set('purpose', 'fine-tune');
  form.set('file', new Blob([row.repeat(rows), row.replace('"a"', '"b"')]), 'large.jsonl');
  const headers = { authorization: 'Bearer weft-dev' };
  const sent = await fetch(`${edge.url}/v1/files`, { method: 'POST', headers, body: form });
  expect(sent.status).toBe(201);
  expect(await sent.json()).toMatchObject({ bytes: row.length * (rows + 1) });
});
