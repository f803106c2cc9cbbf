import { createRoute, OpenAPIHono } from '@hono/zod-openapi';
import {
  classifyHeaders,
  classifyRequest,
  classifyResponse,
  MAX_CLASSIFY_BYTES,
} from '../../shared/api/inference.ts';
import { unixNow } from '../clock.ts';
import { newId } from '../hashing.ts';
import type { AppEnv } from '../http/app-env.ts';
import { json, jsonRequest, named } from '../http/responses.ts';
import { classify, type NodeTiming } from '../inference/classify.ts';
import { jsonBody } from '../middleware/json-body.ts';
import { Deadline } from '../nodes/deadline.ts';

const post = createRoute({
  operationId: 'classify',
  method: 'post',
  path: '/v1/classify',
  summary: 'Classify texts, each by the adapter it names',
  middleware: jsonBody(MAX_CLASSIFY_BYTES),
  request: { headers: classifyHeaders, body: jsonRequest(named('ClassifyRequest', classifyRequest)) },
  responses: {
    200: json('The classifications, in the order of the input', named('ClassifyResponse', classifyResponse)),
  },
});

export const inference = new OpenAPIHono<AppEnv>().openapi(post, async (c) => {
  const started = Date.now();
  const { 'x-timeout-ms': timeoutMs } = c.req.valid('header');
  const caller = {
    db: c.get('db'),
    client: c.get('nodes'),
    tenant: c.get('tenant'),
    deadline: new Deadline(timeoutMs),
  };
  const { model, data, tokens, timing } = await classify(caller, c.req.valid('json'));
  c.set('tokens', tokens);
  c.header('server-timing', serverTiming(timing, Date.now() - started));
  const usage = { prompt_tokens: tokens, total_tokens: tokens };
  return c.json({ object: 'list' as const, id: newId('cls'), created: unixNow(), model, data, usage }, 200);
});

/** The header with a request's times. Cloudflare's clock moves only with I/O: `edge` is database and network, not CPU. */
function serverTiming({ tokenize = 0, queue, load, run, nodes }: NodeTiming, total: number): string {
  const network = Math.max(0, nodes - tokenize - queue - load - run);
  const parts = { edge: total - nodes, network, tokenize, queue, load, run };
  return Object.entries(parts)
    .map(([name, ms]) => `${name};dur=${ms.toFixed(1)}`)
    .join(', ');
}
