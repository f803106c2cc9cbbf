import { createRoute, OpenAPIHono, type z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import {
  type Classification,
  type ClassifyRequest,
  classifyHeaders,
  classifyRequest,
  classifyResponse,
  MAX_CLASSIFY_BYTES,
  moderationRequest,
  moderationResponse,
} from '../../shared/api/inference.ts';
import { unixNow } from '../clock.ts';
import { newId } from '../hashing.ts';
import type { AppEnv } from '../http/app-env.ts';
import { json, jsonRequest, named } from '../http/responses.ts';
import { type Classified, classify, type NodeTiming } from '../inference/classify.ts';
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

const moderate = createRoute({
  operationId: 'moderate',
  method: 'post',
  path: '/v1/moderations',
  summary: "Classify texts by one adapter, whose labels are the answer's categories",
  middleware: jsonBody(MAX_CLASSIFY_BYTES),
  request: { headers: classifyHeaders, body: jsonRequest(named('ModerationRequest', moderationRequest)) },
  responses: {
    200: json('The results, in the order of the input', named('ModerationResponse', moderationResponse)),
  },
});

export const inference = new OpenAPIHono<AppEnv>()
  .openapi(post, async (c) => {
    const { model, data, tokens } = await answer(c, c.req.valid('header'), c.req.valid('json'));
    const usage = { prompt_tokens: tokens, total_tokens: tokens };
    return c.json({ object: 'list' as const, id: newId('cls'), created: unixNow(), model, data, usage }, 200);
  })
  .openapi(moderate, async (c) => {
    const { model, input } = c.req.valid('json');
    const texts =
      typeof input === 'string' ? input : input.map((one) => (typeof one === 'string' ? one : one.text));
    const { data } = await answer(c, c.req.valid('header'), { model, input: texts });
    return c.json({ id: newId('modr'), model: data[0]!.model, results: data.map(asModeration) }, 200);
  });

function asModeration({ label, scores }: Classification) {
  const byLabel = <T>(of: (name: string) => T) =>
    Object.fromEntries(Object.keys(scores).map((name) => [name, of(name)]));
  return {
    flagged: true,
    categories: byLabel((name) => name === label),
    category_scores: scores,
    category_applied_input_types: byLabel(() => ['text' as const]),
  };
}

/** Classifies, and notes the tokens and the times of it. */
async function answer(
  c: Context<AppEnv>,
  { 'x-timeout-ms': timeoutMs }: z.infer<typeof classifyHeaders>,
  request: ClassifyRequest,
): Promise<Classified> {
  const started = Date.now();
  const caller = {
    db: c.get('db'),
    client: c.get('nodes'),
    tenant: c.get('tenant'),
    deadline: new Deadline(timeoutMs),
  };
  const classified = await classify(caller, request);
  c.set('tokens', classified.tokens);
  c.header('server-timing', serverTiming(classified.timing, Date.now() - started));
  return classified;
}

/** The header with a request's times. Cloudflare's clock moves only with I/O: `edge` is database and network, not CPU. */
function serverTiming({ tokenize = 0, queue, load, run, nodes }: NodeTiming, total: number): string {
  const network = Math.max(0, nodes - tokenize - queue - load - run);
  const parts = { edge: total - nodes, network, tokenize, queue, load, run };
  return Object.entries(parts)
    .map(([name, ms]) => `${name};dur=${ms.toFixed(1)}`)
    .join(', ');
}
