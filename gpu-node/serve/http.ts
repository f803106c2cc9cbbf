import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { z } from 'zod';
import { sha256Hex } from '../../shared/adapter-format.ts';
import {
  type adapterTierResponse,
  changesRequest,
  evictRequest,
  exportRequest,
  nodeClassifyRequest,
  type nodeHealth,
  REQUEST_ID_HEADER,
  requestId,
  warmRequest,
  type warmResponse,
} from '../../shared/api/nodes.ts';
import { AppError, problem } from '../../shared/errors.ts';
import { explain, type Log } from '../log.ts';
import type { Classifier } from './classifier.ts';
import type { Exporter } from './exporter.ts';
import { NODE_METRICS, type NodeSamples } from './metrics.ts';
import { prometheusText } from './prometheus.ts';
import type { ServingLease } from './serving-lease.ts';

/** Most bytes of a body: a client's 1 MiB, plus each row's bundle and JSON's escapes. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;

/** Nginx's status for a caller that left: nobody reads it, except perhaps a proxy's log. */
const CLIENT_CLOSED_REQUEST = 499;

export interface NodeHttpOptions {
  secret: string;
  classifier: Classifier;
  exporter: Exporter;
  serving: ServingLease;
  health(): z.infer<typeof nodeHealth>;
  samples(): NodeSamples;
  log: Log;
}

/** `requestId` names a request in the log, in problems and to its caller; it is the caller's own name, if any. */
interface NodeEnv {
  Variables: { requestId: string };
}
export type NodeApp = Hono<NodeEnv>;

/** The node's HTTP interface: what the edge calls, health, and metrics. */
export function nodeApp({
  secret,
  classifier,
  exporter,
  serving,
  health,
  samples,
  log,
}: NodeHttpOptions): NodeApp {
  const app: NodeApp = new Hono();
  app.use(async (c, next) => {
    const id = requestId.safeParse(c.req.header(REQUEST_ID_HEADER)).data ?? randomUUID();
    c.set('requestId', id);
    // `c` sets the header on every answer; an answer made without it would lack the header.
    c.header(REQUEST_ID_HEADER, id);
    await next();
  });
  app.onError((error, c) => {
    if (c.req.raw.signal.aborted) return c.body(null, CLIENT_CLOSED_REQUEST as 400);
    const request = c.get('requestId');
    if (!(error instanceof AppError)) log.error('a request failed', { request, reason: explain(error) });
    else if (error.status >= 500) log.warn('a request was not answered', { request, reason: explain(error) });
    return answerProblem(asAppError(error), c);
  });
  app.notFound((c) => {
    const message = `there is no ${c.req.method} ${c.req.path} here`;
    return answerProblem(new AppError('not_found', message), c);
  });

  app.get('/health', (c) => c.json(health()));
  app.get('/metrics', (c) => {
    return c.text(prometheusText(NODE_METRICS, samples()), 200, {
      'content-type': 'text/plain; version=0.0.4; charset=utf-8',
    });
  });

  app.use('/internal/*', async (c, next) => {
    if (!isSecret(c.req.header('authorization') ?? '', secret)) {
      throw new AppError('invalid_api_key', "this node wants the edge's node secret as a bearer token");
    }
    await next();
  });
  app.use('/internal/*', bodyLimit({ maxSize: MAX_BODY_BYTES, onError: tooLarge }));
  app.post('/internal/classify', async (c) => {
    requireUp(health());
    const request = await readBody(c.req.raw, nodeClassifyRequest);
    serving.admit(request);
    const answer = await classifier.classify(request, c.req.raw.signal);
    return c.json({ ...answer, waiting: classifier.queue });
  });
  app.post('/internal/changes', async (c) => {
    const { changes } = await readBody(c.req.raw, changesRequest);
    serving.learn(changes);
    return c.json({ known: changes.length });
  });
  app.post('/internal/evict', async (c) => {
    const { bundles } = await readBody(c.req.raw, evictRequest);
    await classifier.evict(bundles);
    return c.json({ evicted: bundles.length });
  });
  app.post('/internal/warm', async (c) => {
    const { bundles } = await readBody(c.req.raw, warmRequest);
    const answer: z.infer<typeof warmResponse> = { accepted: classifier.warm(bundles) };
    return c.json(answer, 202);
  });
  app.post('/internal/export', async (c) => {
    requireUp(health());
    const { bundle } = await readBody(c.req.raw, exportRequest);
    const { bytes, body } = await exporter.export(bundle, c.req.raw.signal);
    return c.body(body, 200, { 'content-type': 'application/x-tar', 'content-length': String(bytes) });
  });
  app.get('/internal/adapters/:bundle', async (c) => {
    const bundle = parse(sha256Hex, c.req.param('bundle'), 'bundle');
    const answer: z.infer<typeof adapterTierResponse> = { tier: await classifier.tierOf(bundle) };
    return c.json(answer);
  });
  return app;
}

function requireUp({ status }: z.infer<typeof nodeHealth>): void {
  if (status !== 'ok') throw new AppError('shutting_down', 'the node is shutting down', { retryAfter: 1 });
}

function tooLarge(): never {
  throw new AppError('payload_too_large', `the body is larger than ${MAX_BODY_BYTES} bytes`);
}

async function readBody<T extends z.ZodType>(request: Request, schema: T): Promise<z.infer<T>> {
  const json = await request.json().catch((cause: unknown) => {
    if (cause instanceof AppError) throw cause;
    throw new AppError('malformed_json', 'the body is not JSON', { cause });
  });
  return parse(schema, json, 'body');
}

/** Validates a value; `what` names it in messages. */
function parse<T extends z.ZodType>(schema: T, value: unknown, what: string): z.infer<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const param = issue?.path.join('.') || what;
  throw new AppError('invalid_request', `${param}: ${issue?.message}`, { param });
}

function asAppError(error: unknown): AppError {
  return error instanceof AppError
    ? error
    : new AppError('internal_error', 'the node failed to answer; its log says why', { cause: error });
}

function answerProblem(error: AppError, c: Context<NodeEnv>): Response {
  return c.body(JSON.stringify(problem(error, c.get('requestId'))), error.status as 400, {
    'content-type': 'application/problem+json',
    ...(error.retryAfter !== undefined && { 'retry-after': String(error.retryAfter) }),
  });
}

/** Compares in constant time: digests have one length, whatever was sent. */
function isSecret(authorization: string, secret: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(authorization), digest(`Bearer ${secret}`));
}
