import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { adapter, adapterDeleted, createAdapter, listAdaptersQuery } from '../../shared/api/adapters.ts';
import { adapterRef, listOf } from '../../shared/api/common.ts';
import { AppError } from '../../shared/errors.ts';
import { unixNow } from '../clock.ts';
import { submitAdapter } from '../create-adapter.ts';
import { deleteAdapters } from '../db/adapter-deletion.ts';
import { findAdapter, pageOfAdapters, viewAdapter } from '../db/adapters.ts';
import type { Db } from '../db/client.ts';
import { liveNodes } from '../db/nodes.ts';
import type { AppEnv } from '../env.ts';
import { idempotent } from '../middleware/idempotency.ts';
import { jsonBody } from '../middleware/json-body.ts';
import { NodeClient } from '../node-client.ts';
import { deleteObjects } from '../object-store.ts';
import { toPage } from '../pages.ts';
import { json, jsonRequest, problemResponse } from './responses.ts';

/** Room for 2,000 inline examples of some length; larger datasets are uploaded as files. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;

const params = z.object({ id: z.string() });

const create = createRoute({
  method: 'post',
  path: '/v1/adapters',
  summary: 'Train an adapter',
  middleware: [...jsonBody(MAX_BODY_BYTES), idempotent],
  request: { body: jsonRequest(createAdapter) },
  responses: { 202: json('Queued', adapter), default: problemResponse },
});

const list = createRoute({
  method: 'get',
  path: '/v1/adapters',
  summary: 'List adapters, newest first',
  request: { query: listAdaptersQuery },
  responses: { 200: json('A page', listOf(adapter)), default: problemResponse },
});

const get = createRoute({
  method: 'get',
  path: '/v1/adapters/{id}',
  summary: 'Get an adapter by name or name@version',
  request: { params },
  responses: { 200: json('The adapter', adapter), default: problemResponse },
});

const remove = createRoute({
  method: 'delete',
  path: '/v1/adapters/{id}',
  summary: 'Delete a version, or all versions of a name',
  request: { params },
  responses: { 200: json('Deleted', adapterDeleted), default: problemResponse },
});

export const adapters = new OpenAPIHono<AppEnv>()
  .openapi(create, async (c) => {
    const request = c.req.valid('json');
    const version = await submitAdapter(c.env, c.get('db'), c.get('tenant'), request);
    const id = `${request.name}@${version}`;
    c.header('location', `/v1/adapters/${id}`);
    return c.json(await readAdapter(c.get('db'), c.get('tenant'), id), 202);
  })
  .openapi(list, async (c) => {
    const { after, limit, status, name } = c.req.valid('query');
    const rows = await pageOfAdapters(c.get('db'), c.get('tenant'), { after, limit, status, name });
    if (!rows) throw unknownAdapter(after!, 'after');
    return c.json(
      toPage(rows, limit, viewAdapter, (item) => item.id),
      200,
    );
  })
  .openapi(get, async (c) => {
    const { id } = c.req.valid('param');
    return c.json(await readAdapter(c.get('db'), c.get('tenant'), id), 200);
  })
  .openapi(remove, async (c) => {
    const { id } = c.req.valid('param');
    const db = c.get('db');
    const deleted = await deleteAdapters(db, c.get('tenant'), id, unixNow());
    if (!deleted) throw unknownAdapter(id);
    const nodes = await liveNodes(db, unixNow());
    await Promise.all([
      deleteObjects(c.env, db, deleted.keys),
      new NodeClient(c.env.NODE_SECRET).evict(nodes, deleted.bundles),
    ]);
    return c.json({ id, object: 'adapter' as const, deleted: true as const }, 200);
  });

async function readAdapter(db: Db, tenant: string, ref: string) {
  const row = adapterRef.safeParse(ref).success ? await findAdapter(db, tenant, ref) : undefined;
  if (!row) throw unknownAdapter(ref);
  return viewAdapter(row);
}

function unknownAdapter(ref: string, param?: string): AppError {
  return new AppError(
    'adapter_not_found',
    `There is no adapter ${ref}.`,
    param === undefined ? {} : { param },
  );
}
