import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unpackTar } from 'modern-tar';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Platform, startPlatform } from '../../scripts/platform.ts';
import {
  ADAPTER_HEADER_BYTES,
  parseHeader,
  readTensors,
  writeSafetensors,
} from '../../shared/safetensors.ts';
import { parseExposition } from '../support/exposition.ts';
import { TINY_BERT } from '../support/tiny-bert.ts';

/** Tokens of the base model: 77 MB of embeddings, more than sockets and streams hold between a node and its client. */
const VOCABULARY = 600_000;
const LABELS = ['ham', 'spam'];
const EXAMPLES = LABELS.flatMap((label) =>
  Array.from({ length: 4 }, (_, i) => ({ text: `${label} number ${i}`, label })),
);

let root: string;
let port: number;
let platform: Platform;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'weft export '));
  port = await freePort();
  const nodeEnv = {
    WEFT_BASE_MODEL: await wideTinyBert(root),
    WEFT_THREADS: '2',
    WEFT_NODE_PORT: String(port),
  };
  platform = await startPlatform({ home: join(root, 'home'), port: 0, key: 'k', nodeEnv, log: () => {} });
  const json = { name: 'spam', examples: EXAMPLES, hyperparameters: { epochs: 1, max_length: 8 } };
  await call('/v1/adapters', json);
  const statusOf = async () =>
    ((await (await call('/v1/adapters/spam')).json()) as { status: string }).status;
  await vi.waitFor(async () => expect(await statusOf()).toBe('ready'), { timeout: 90_000, interval: 200 });
});
afterAll(async () => {
  await platform?.stop();
  await rm(root, { recursive: true, force: true });
});

function tensorsOf(file: Uint8Array) {
  return readTensors(
    file,
    parseHeader(file, file.length, { file: 'model', maxHeaderBytes: ADAPTER_HEADER_BYTES }),
  );
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A folder of the fixture with a table of embeddings that is far larger. */
async function wideTinyBert(parent: string): Promise<string> {
  const folder = join(parent, 'wide-bert');
  await mkdir(folder);
  await copyFile(join(TINY_BERT, 'tokenizer.json'), join(folder, 'tokenizer.json'));
  const config = JSON.parse(await readFile(join(TINY_BERT, 'config.json'), 'utf8'));
  await writeFile(join(folder, 'config.json'), JSON.stringify({ ...config, vocab_size: VOCABULARY }));
  const tensors = tensorsOf(await readFile(join(TINY_BERT, 'model.safetensors')));
  const name = 'embeddings.word_embeddings.weight';
  const { shape, data } = tensors.get(name)!;
  const wide = new Float32Array(VOCABULARY * shape[1]!);
  wide.set(data);
  tensors.set(name, { shape: [VOCABULARY, shape[1]!], data: wide });
  await writeFile(join(folder, 'model.safetensors'), writeSafetensors(tensors));
  return folder;
}

function call(path: string, json?: unknown, signal?: AbortSignal): Promise<Response> {
  return fetch(platform.url + path, {
    headers: { authorization: `Bearer ${platform.key}`, 'content-type': 'application/json' },
    ...(json !== undefined && { method: 'POST', body: JSON.stringify(json) }),
    ...(signal && { signal }),
  });
}

/** An export that a node has begun; on a busy machine a node may be silent for a while. */
function begin(signal?: AbortSignal): Promise<Response> {
  return vi.waitFor(
    async () => {
      const response = await call('/v1/adapters/spam/export', { format: 'merged' }, signal);
      expect(response.status, response.ok ? '' : await response.clone().text()).toBe(200);
      return response;
    },
    { timeout: 60_000, interval: 500 },
  );
}

async function exportsUnderWay(): Promise<number | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return parseExposition(text).get('weft_exports')?.series.get('{}');
}

describe('an exported adapter', () => {
  it('comes through the edge as a tar archive of a transformers folder, as long as it says', async () => {
    const response = await begin();
    const bytes = new Uint8Array(await response.arrayBuffer());
    expect(response.headers.get('content-length')).toBe(String(bytes.length));
    const entries = await unpackTar(bytes, { strict: true });
    const files = new Map(entries.map(({ header, data }) => [header.name, data!]));
    const config = JSON.parse(new TextDecoder().decode(files.get('config.json')));
    expect(Object.values(config.id2label)).toEqual(LABELS);
    const merged = tensorsOf(files.get('model.safetensors')!);
    expect(merged.get('classifier.weight')!.shape).toEqual([2, 32]);
    expect(merged.get('bert.embeddings.word_embeddings.weight')!.shape).toEqual([VOCABULARY, 32]);
    await expect.poll(exportsUnderWay).toBe(0);
  });

  it('is made no further where its client stops reading', async () => {
    const client = new AbortController();
    const response = await begin(client.signal);
    const reader = response.body!.getReader();
    await reader.read();
    expect(await exportsUnderWay()).toBe(1);
    client.abort();
    await expect.poll(exportsUnderWay).toBe(0);
  });
});
