import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { AppEnv } from '../http/app-env.ts';
import { json } from '../http/responses.ts';

const getHealth = createRoute({
  operationId: 'getHealth',
  method: 'get',
  path: '/health',
  summary: 'Whether the edge answers',
  security: [],
  responses: { 200: json('The edge answers', z.object({ status: z.literal('ok') })) },
});

export const health = new OpenAPIHono<AppEnv>().openapi(getHealth, (c) => c.json({ status: 'ok' }, 200));
