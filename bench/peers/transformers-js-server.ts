/**
 * transformers.js behind HTTP: requests that wait when a batch is done form the next batch, of at most `rows`. It reads a setup line,
 * prints its port, then answers `POST {"rows": [{"bundle", "text"}]}` as the node daemon does, on one adapter only.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { json } from 'node:stream/consumers';
import { softmax } from '../../shared/metrics.ts';
import { openTransformersJs, type TransformersJsSetup } from './transformers-js.ts';

interface Setup extends TransformersJsSetup {
  readonly rows: number;
  readonly maxLength: number;
}

interface Waiting {
  readonly text: string;
  resolve(scores: number[]): void;
  reject(error: unknown): void;
}

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const setup = JSON.parse((await lines.next()).value ?? '') as Setup;
const library = await openTransformersJs(setup);
const waiting: Waiting[] = [];
let running = false;

const server = createServer((request, response) => {
  handle(request, response).catch((error) => response.writeHead(500).end(String(error)));
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ port, versions: library.versions })}\n`);
});
await lines.next();
process.exit();

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { rows } = (await json(request)) as { rows: { text: string }[] };
  const scores = await Promise.all(rows.map(({ text }) => classify(text)));
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ rows: scores.map((ofRow) => ({ scores: ofRow })) }));
}

function classify(text: string): Promise<number[]> {
  return new Promise((resolve, reject) => {
    waiting.push({ text, resolve, reject });
    if (running) return;
    running = true;
    setImmediate(() => void work());
  });
}

async function work(): Promise<void> {
  while (waiting.length > 0) {
    const batch = waiting.splice(0, setup.rows);
    try {
      const texts = batch.map(({ text }) => text);
      const logits = await library.run(library.tokenize(texts, setup.maxLength));
      for (const [i, { resolve }] of batch.entries()) resolve(softmax(logits[i]!, 1));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
  running = false;
}
