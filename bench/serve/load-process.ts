/** Sends requests: it reads one load per line, and answers each with its latencies; the line `"end"` ends a load early. */
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Load, LoadAnswer } from './load.ts';

let ended = false;
let first = true;
for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line) as Load | 'end';
  if (message === 'end') ended = true;
  else if (first) answer({});
  else {
    ended = false;
    send(message).then(answer, (error: Error) => answer({ failed: error.message }));
  }
  first = false;
}
process.exit();

async function send({ url, token, bodies, connections, everyMs }: Load): Promise<LoadAnswer> {
  // Each load has its own agent: a connection kept since the last load may close just when it is used.
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const latencies: number[] = [];
  const start = performance.now();
  let next = 0;
  const connection = async () => {
    while (next < bodies.length && !ended) {
      const nth = next++;
      if (everyMs !== undefined) await sleep(Math.max(0, start + nth * everyMs - performance.now()));
      const sent = performance.now();
      await post(agent, url, token, bodies[nth]!);
      latencies.push(performance.now() - sent);
    }
  };
  await Promise.all(Array.from({ length: connections }, connection));
  agent.destroy();
  return { ms: performance.now() - start, latencies };
}

function post(agent: Agent, url: string, token: string, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const sent = request(url, { method: 'POST', agent, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`${url} answered ${response.statusCode}: ${Buffer.concat(chunks)}`));
      });
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

function answer(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
