import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { MAX_INPUTS } from '../../shared/api/inference.ts';
import { MAX_SEQUENCE_LENGTH } from '../../shared/peft-config.ts';

const MEBIBYTE = 1024 * 1024;

const integer = (min: number, max: number, fallback: number) =>
  z.coerce.number().int().min(min).max(max).default(fallback);

const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' });

/** Most base models, because a node may register no more. */
const MAX_BASE_MODELS = 16;

/** Tokens of the largest request; the queue must hold twice as many, so that as much stays free. */
const MAX_REQUEST_TOKENS = MAX_INPUTS * MAX_SEQUENCE_LENGTH;

/** Commas separate base models, because a path may hold blanks and, on Windows, colons. */
const baseModels = z
  .string()
  .default('minilm-l6-384')
  .transform((list) => list.split(',').map((name) => name.trim()))
  .pipe(
    z
      .array(z.string().min(1, 'must be ids or folders with commas between them: one of them is empty'))
      .max(MAX_BASE_MODELS, `names more than ${MAX_BASE_MODELS} base models`),
  );

const environment = z.object({
  WEFT_EDGE_URL: httpUrl.default('http://127.0.0.1:8787'),
  WEFT_NODE_SECRET: z
    .string({ error: "is not set: give the node the edge's NODE_SECRET" })
    .regex(/^[\x21-\x7e]{8,256}$/, "must be the edge's NODE_SECRET: 8 to 256 characters, no space"),
  WEFT_HOME: z.string().min(1).default('.weft'),
  WEFT_NODE_HOST: z.string().min(1).default('127.0.0.1'),
  WEFT_NODE_PORT: integer(0, 65_535, 0),
  WEFT_NODE_URL: httpUrl.optional(),
  WEFT_DEVICE: z.enum(['cpu', 'webgpu', 'cuda']).default('cpu'),
  WEFT_THREADS: integer(1, 256, availableParallelism()),
  WEFT_BASE_MODEL: baseModels,
  WEFT_SLOTS: integer(1, 4096, 64),
  WEFT_CACHE_BYTES: integer(MEBIBYTE, Number.MAX_SAFE_INTEGER, 4096 * MEBIBYTE),
  WEFT_MEMORY_BYTES: integer(128 * MEBIBYTE, Number.MAX_SAFE_INTEGER, 512 * MEBIBYTE),
  WEFT_SESSION_BYTES: integer(128 * MEBIBYTE, Number.MAX_SAFE_INTEGER, 768 * MEBIBYTE),
  WEFT_QUEUE_TOKENS: integer(2 * MAX_REQUEST_TOKENS, 1e9, 4 * MAX_REQUEST_TOKENS),
  WEFT_BATCH_TOKENS: z.coerce.number().int().min(128).max(65_536).optional(),
  WEFT_CHECKPOINT_SECONDS: z.coerce.number().min(0).max(3600).default(30),
});

/** Settings of the daemon; every path is absolute. */
export interface NodeConfig {
  edgeUrl: string;
  /** The secret shared with the edge, apart from client keys; it is never logged. */
  nodeSecret: string;
  home: string;
  host: string;
  /** Port to listen on; 0 lets the system choose. */
  port: number;
  /** Address under which the edge reaches this node; undefined means `http://127.0.0.1:PORT`. */
  nodeUrl: string | undefined;
  device: 'cpu' | 'webgpu' | 'cuda';
  threads: number;
  /** Registry ids, or folders of Hugging Face models; the first is the node's default. */
  baseModels: readonly string[];
  /** Most adapters in one batch. */
  slots: number;
  /** Most bytes of adapters on disk. */
  cacheBytes: number;
  /** Most bytes of adapters in memory. */
  memoryBytes: number;
  /** Most bytes of the serving sessions, with the adapters in their slots. */
  sessionBytes: number;
  /** Most tokens of waiting texts; more get 429. One tenant alone may use half of them. */
  queueTokens: number;
  /** Padded tokens of one run; a longer text runs alone. Undefined leaves the number to the precision. */
  batchTokens: number | undefined;
  /** Seconds of training between two saves of its state; 0 saves it after each step. */
  checkpointSeconds: number;
}

/** An unusable setting; the message names every variable at fault. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

/**
 * Reads the daemon's settings. An empty variable counts as unset.
 * @throws {ConfigError} naming each bad variable without its value, which may be a secret.
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): NodeConfig {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = environment.safeParse(given);
  if (!parsed.success) {
    throw new ConfigError(
      parsed.error.issues.map((issue) => `${String(issue.path[0])}: ${issue.message}`).join('\n'),
    );
  }
  const values = parsed.data;
  const home = resolve(values.WEFT_HOME);
  return {
    edgeUrl: values.WEFT_EDGE_URL.replace(/\/+$/, ''),
    nodeSecret: values.WEFT_NODE_SECRET,
    home,
    host: values.WEFT_NODE_HOST,
    port: values.WEFT_NODE_PORT,
    nodeUrl: values.WEFT_NODE_URL?.replace(/\/+$/, ''),
    device: values.WEFT_DEVICE,
    threads: values.WEFT_THREADS,
    baseModels: values.WEFT_BASE_MODEL,
    slots: values.WEFT_SLOTS,
    cacheBytes: values.WEFT_CACHE_BYTES,
    memoryBytes: values.WEFT_MEMORY_BYTES,
    sessionBytes: values.WEFT_SESSION_BYTES,
    queueTokens: values.WEFT_QUEUE_TOKENS,
    batchTokens: values.WEFT_BATCH_TOKENS,
    checkpointSeconds: values.WEFT_CHECKPOINT_SECONDS,
  };
}

/** Folder of adapters fetched from the edge; nodes on one machine may share it. */
export function adapterCacheFolder(config: NodeConfig): string {
  return join(config.home, 'cache', 'adapters');
}
