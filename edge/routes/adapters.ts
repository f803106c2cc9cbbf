import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import {
  adapter,
  adapterDeleted,
  adapterWarming,
  createAdapter,
  listAdaptersQuery,
} from '../../shared/api/adapters.ts';
import { adapterRef, listOf } from '../../shared/api/common.ts';
import { AppError } from '../../shared/errors.ts';
import { submitAdapter } from '../adapters/create-adapter.ts';
import { removeAdapter } from '../adapters/remove-adapter.ts';
import { withMatrix } from '../adapters/whole-metrics.ts';
import { type AdapterRow, findAdapter, findServable, pageOfAdapters, viewAdapter } from '../db/adapters.ts';
import type { Db } from '../db/client.ts';
import type { AppEnv } from '../http/app-env.ts';
import { toPage } from '../http/pages.ts';
import { json, jsonRequest, named } from '../http/responses.ts';
import { whyNotServable } from '../inference/resolve-adapters.ts';
import { idempotent } from '../middleware/idempotency.ts';
import { jsonBody } from '../middleware/json-body.ts';
import { noNode } from '../nodes/no-capacity.ts';
import { residentOn, warmAdapter } from '../nodes/residency.ts';

/** Bytes that hold 2,000 long inline examples; larger datasets are uploaded as files. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;

const Adapter = named('Adapter', adapter);
const CreateAdapter = named('CreateAdapter', createAdapter).openapi({
  oneOf: [{ required: ['training_file'] }, { required: ['examples'] }],
});

const params = z.object({ id: z.string() });

const create = createRoute({
  operationId: 'createAdapter',
  method: 'post',
  path: '/v1/adapters',
  summary: 'Train an adapter',
  middleware: [...jsonBody(MAX_BODY_BYTES), idempotent],
  request: { body: jsonRequest(CreateAdapter) },
  responses: { 202: json('Queued', Adapter) },
});

const list = createRoute({
  operationId: 'listAdapters',
  method: 'get',
  path: '/v1/adapters',
  summary: 'List adapters',
  request: { query: listAdaptersQuery },
  responses: { 200: json('A page', named('AdapterList', listOf(Adapter))) },
});

const get = createRoute({
  operationId: 'getAdapter',
  method: 'get',
  path: '/v1/adapters/{id}',
  summary: 'Get an adapter by name or name@version',
  request: { params },
  responses: { 200: json('The adapter', Adapter) },
});

const warm = createRoute({
  operationId: 'warmAdapter',
  method: 'post',
  path: '/v1/adapters/{id}/warm',
  summary: 'Load an adapter on its first node before anybody asks for it',
  request: { params },
  responses: { 202: json('The node loads it', named('AdapterWarming', adapterWarming)) },
});

const remove = createRoute({
  operationId: 'deleteAdapter',
  method: 'delete',
  path: '/v1/adapters/{id}',
  summary: 'Delete a version, or all versions of a name',
  request: { params },
  responses: { 200: json('Deleted', named('AdapterDeleted', adapterDeleted)) },
});

export const adapters = new OpenAPIHono<AppEnv>()
  .openapi(create, async (c) => {
    const request = c.req.valid('json');
    const { version } = await submitAdapter(c.env, c.get('db'), c.get('tenant'), request);
    const id = `${request.name}@${version}`;
    c.header('location', `/v1/adapters/${id}`);
    return c.json(await readAdapter(c.get('db'), c.get('tenant'), id), 202);
  })
  .openapi(list, async (c) => {
    const { after, limit, order, status, name } = c.req.valid('query');
    const rows = await pageOfAdapters(c.get('db'), c.get('tenant'), { after, limit, order, status, name });
    if (!rows) throw unknownAdapter(after!, 'after');
    return c.json(
      toPage(rows, limit, viewAdapter, (item) => item.id),
      200,
    );
  })
  .openapi(get, async (c) => {
    const { id } = c.req.valid('param');
    const db = c.get('db');
    const row = await findRow(db, c.get('tenant'), id);
    const nodes = c.get('nodes');
    const whole = await withMatrix(c.env, row);
    return c.json({ ...viewAdapter(whole), resident: await residentOn(db, nodes, row) }, 200);
  })
  .openapi(warm, async (c) => {
    const { id } = c.req.valid('param');
    const [db, tenant] = [c.get('db'), c.get('tenant')];
    if (!adapterRef.safeParse(id).success) throw unknownAdapter(id);
    const [found] = await findServable(db, tenant, [id]);
    if (!found) throw await whyNotServable(db, tenant, id, 'id');
    const node = await warmAdapter(db, c.get('nodes'), found);
    if (!node) throw noNode(found.baseModel);
    const version = `${found.name}@${found.version}`;
    return c.json({ id: version, object: 'adapter' as const, node: node.id }, 202);
  })
  .openapi(remove, async (c) => {
    const { id } = c.req.valid('param');
    const nodes = c.get('nodes');
    if (!(await removeAdapter(c.env, c.get('db'), nodes, c.get('tenant'), id))) throw unknownAdapter(id);
    return c.json({ id, object: 'adapter' as const, deleted: true as const }, 200);
  });

async function readAdapter(db: Db, tenant: string, ref: string) {
  return viewAdapter(await findRow(db, tenant, ref));
}

async function findRow(db: Db, tenant: string, ref: string): Promise<AdapterRow> {
  const row = adapterRef.safeParse(ref).success ? await findAdapter(db, tenant, ref) : undefined;
  if (!row) throw unknownAdapter(ref);
  return row;
}

function unknownAdapter(ref: string, param?: string): AppError {
  return new AppError(
    'adapter_not_found',
    `There is no adapter ${ref}.`,
    param === undefined ? {} : { param },
  );
}
