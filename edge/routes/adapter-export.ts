import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { exportAdapter as exportRequest } from '../../shared/api/adapters.ts';
import { adapterRef } from '../../shared/api/common.ts';
import { AppError } from '../../shared/errors.ts';
import { exportAdapter } from '../adapters/export-adapter.ts';
import { findServable } from '../db/adapters.ts';
import type { AppEnv } from '../http/app-env.ts';
import { jsonRequest, named } from '../http/responses.ts';
import { whyNotServable } from '../inference/resolve-adapters.ts';
import { jsonBody } from '../middleware/json-body.ts';

const MAX_BODY_BYTES = 1024;

const post = createRoute({
  operationId: 'exportAdapter',
  method: 'post',
  path: '/v1/adapters/{id}/export',
  summary: 'Download the base model with an adapter merged into it, as a folder that transformers loads',
  middleware: jsonBody(MAX_BODY_BYTES),
  request: {
    params: z.object({ id: z.string() }),
    body: jsonRequest(named('ExportAdapter', exportRequest)),
  },
  responses: {
    200: {
      description: 'A tar archive; its README.md says how to load it',
      content: { 'application/x-tar': { schema: z.any() } },
    },
  },
});

export const adapterExport = new OpenAPIHono<AppEnv>().openapi(post, async (c) => {
  const { id } = c.req.valid('param');
  const [db, tenant] = [c.get('db'), c.get('tenant')];
  if (!adapterRef.safeParse(id).success)
    throw new AppError('adapter_not_found', `There is no adapter ${id}.`);
  const [found] = await findServable(db, tenant, [id]);
  if (!found) throw await whyNotServable(db, tenant, id, 'id');
  const archive = await exportAdapter(db, c.get('nodes'), found);
  const length = archive.headers.get('content-length');
  const headers = {
    'content-type': 'application/x-tar',
    'content-disposition': `attachment; filename="${found.name}-${found.version}.tar"`,
    ...(length && { 'content-length': length }),
  };
  return new Response(archive.body, { headers });
});
