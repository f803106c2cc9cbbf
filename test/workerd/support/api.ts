import { env, exports } from 'cloudflare:workers';
import type { z } from 'zod';
import { openDb } from '../../../edge/db/client.ts';
import { apiKeys } from '../../../edge/db/schema.ts';
import { randomHex, sha256Of } from '../../../edge/hashing.ts';
import { LIMIT_HEADERS } from '../../../edge/http/limit-headers.ts';
import type { problemBody } from '../../../shared/api/common.ts';
import type { KeyRole } from '../../../shared/api/keys.ts';

export const db = openDb(env.DB);
export const NODE_SECRET = env.NODE_SECRET;

/** An answer of the edge: its parsed JSON beside what a test looks at. */
export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what tests assert
  body: any;
}

export interface CallOptions {
  method?: string;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is; give a content type with it. */
  body?: BodyInit;
  headers?: Record<string, string>;
}

/** A client with a key: `call('/v1/models')`. */
export interface Client {
  tenant: string;
  key: string;
  call(path: string, options?: CallOptions): Promise<Answer>;
}

/** Sends one request to the whole Worker, as a client with `token` would. */
export async function call(
  token: string | undefined,
  path: string,
  options: CallOptions = {},
): Promise<Answer> {
  const headers = new Headers(options.headers);
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
  if (options.json !== undefined) headers.set('content-type', 'application/json');
  const body = options.json === undefined ? options.body : JSON.stringify(options.json);
  const method = options.method ?? (body === undefined ? 'GET' : 'POST');
  const response = await exports.default.fetch(
    new Request(`https://edge.test${path}`, { method, headers, ...(body !== undefined && { body }) }),
  );
  await checkDocumented(method, path, response);
  const text = await response.text();
  const isJson = /[/+]json\b/.test(response.headers.get('content-type') ?? '');
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}

let document: Promise<Record<string, Record<string, Operation>>> | undefined;

interface Operation {
  responses: Record<string, { headers: Record<string, unknown>; content?: Record<string, unknown> }>;
}

/** Every answer of every test is one that the OpenAPI document has: its status, its type and the headers that clients act on. */
async function checkDocumented(method: string, path: string, { status, headers }: Response): Promise<void> {
  document ??= exports.default
    .fetch('https://edge.test/openapi.json')
    .then(async (response) => (await response.json<{ paths: Awaited<typeof document> }>()).paths!);
  const paths = await document;
  const { pathname } = new URL(path, 'https://edge.test');
  const matching = Object.keys(paths)
    .filter((one) =>
      new RegExp(`^${one.replaceAll('.', '\\.').replaceAll(/{.+?}/g, '[^/]+')}$`).test(pathname),
    )
    .sort((a, b) => Number(a.includes('{')) - Number(b.includes('{')));
  const operation = matching.map((one) => paths[one]![method.toLowerCase()]).find(Boolean);
  if (!operation) return;
  const documented = operation.responses[status];
  const type = headers.get('content-type')?.split(';')[0];
  const named = Object.keys(documented?.headers ?? {}).map((name) => name.toLowerCase());
  const missing = [
    ...LIMIT_HEADERS,
    'x-request-id',
    'retry-after',
    'x-should-retry',
    'location',
    'server-timing',
  ].filter((name) => headers.has(name) && !named.includes(name));
  if (documented && (!type || type in (documented.content ?? {})) && missing.length === 0) return;
  throw new Error(`undocumented: ${method} ${pathname} answers ${status}, ${type}, ${missing}`);
}

/** A new tenant with a key of its own, which may have a role. */
export async function makeTenant(role: KeyRole | null = null): Promise<Client> {
  const tenant = `tenant-${randomHex(4)}`;
  const key = `weft-${randomHex(16)}`;
  await db.insert(apiKeys).values({ hash: await sha256Of(key), tenant, createdAt: 0, role });
  return { tenant, key, call: (path, options) => call(key, path, options) };
}

/** A call of a node, with the node secret. */
export function callAsNode(path: string, options?: CallOptions): Promise<Answer> {
  return call(NODE_SECRET, path, options);
}

/** The parts of a problem answer that tests name. */
export function problemOf(answer: Answer) {
  const body = answer.body as z.infer<typeof problemBody>;
  return { status: answer.status, code: body.error?.code, param: body.error?.param };
}
