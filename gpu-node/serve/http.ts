import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { z } from 'zod';
import {
  changesRequest,
  evictRequest,
  nodeClassifyRequest,
  type nodeHealth,
} from '../../shared/api/nodes.ts';
import { AppError, problem } from '../../shared/errors.ts';
import { explain, type Log } from '../log.ts';
import type { ServingLease } from '../serving-lease.ts';
import type { Classifier } from './classifier.ts';
import { type Gauges, prometheusText } from './metrics.ts';

/** A client's body of 1 MiB, with each row's bundle and JSON's escapes on top. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;

/** Nginx's status for a caller that left: nobody reads it, but the log of a proxy may. */
const CLIENT_CLOSED_REQUEST = 499;

export interface NodeHttpOptions {
  secret: string;
  classifier: Classifier;
  serving: ServingLease;
  health(): z.infer<typeof nodeHealth>;
  gauges(): Gauges;
  log: Log;
}

/** The node's HTTP interface: what the edge calls, health, and metrics. */
export function nodeApp({ secret, classifier, serving, health, gauges, log }: NodeHttpOptions): Hono {
  const app = new Hono();
  app.onError((error, c) => {
    if (c.req.raw.signal.aborted) return new Response(null, { status: CLIENT_CLOSED_REQUEST });
    const requestId = randomUUID();
    if (!(error instanceof AppError))
      log.error('a request failed', { request: requestId, reason: explain(error) });
    return answerProblem(asAppError(error), requestId);
  });
  app.notFound(({ req }) => {
    const message = `there is no ${req.method} ${req.path} here`;
    return answerProblem(new AppError('not_found', message), randomUUID());
  });

  app.get('/health', (c) => c.json(health()));
  app.get('/metrics', (c) => {
    return c.text(prometheusText(classifier.metrics, gauges()), 200, {
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
    if (health().status !== 'ok')
      throw new AppError('shutting_down', 'the node is shutting down', { retryAfter: 1 });
    classifier.metrics.requests++;
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
  return app;
}

function tooLarge(): never {
  throw new AppError('payload_too_large', `the body is larger than ${MAX_BODY_BYTES} bytes`);
}

async function readBody<T extends z.ZodType>(request: Request, schema: T): Promise<z.infer<T>> {
  const json = await request.json().catch((cause: unknown) => {
    if (cause instanceof AppError) throw cause;
    throw new AppError('malformed_json', 'the body is not JSON', { cause });
  });
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const param = issue?.path.join('.') || 'body';
  throw new AppError('invalid_request', `${param}: ${issue?.message}`, { param });
}

function asAppError(error: unknown): AppError {
  return error instanceof AppError
    ? error
    : new AppError('internal_error', 'the node failed to answer; its log says why', { cause: error });
}

function answerProblem(error: AppError, requestId: string): Response {
  return Response.json(problem(error, requestId), {
    status: error.status,
    headers: {
      'content-type': 'application/problem+json',
      ...(error.retryAfter !== undefined && { 'retry-after': String(error.retryAfter) }),
    },
  });
}

/** In constant time: digests have one length, whatever was sent. */
function isSecret(authorization: string, secret: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(authorization), digest(`Bearer ${secret}`));
}
