import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { adapterRef, listOf } from '../../shared/api/common.ts';
import { MAX_LISTED_MODELS, model, modelDeleted } from '../../shared/api/inference.ts';
import { AppError } from '../../shared/errors.ts';
import { removeAdapter } from '../adapters/remove-adapter.ts';
import { unixNow } from '../clock.ts';
import { findAdapter, readyAdapters } from '../db/adapters.ts';
import type { Db } from '../db/client.ts';
import { servedBaseModels } from '../db/nodes.ts';
import type { AppEnv } from '../http/app-env.ts';
import { toPage } from '../http/pages.ts';
import { json, named } from '../http/responses.ts';
import { whyNotServable } from '../inference/resolve-adapters.ts';

const Model = named('Model', model);
const params = z.object({ id: z.string() });

const list = createRoute({
  operationId: 'listModels',
  method: 'get',
  path: '/v1/models',
  summary: 'Base models, with how many nodes serve each, and ready adapters',
  responses: {
    200: json('The models; base models first, then the newest adapters', named('ModelList', listOf(Model))),
  },
});

const get = createRoute({
  operationId: 'getModel',
  method: 'get',
  path: '/v1/models/{id}',
  summary: 'Get a base model, or a ready adapter',
  request: { params },
  responses: { 200: json('The model', Model) },
});

const remove = createRoute({
  operationId: 'deleteModel',
  method: 'delete',
  path: '/v1/models/{id}',
  summary: 'Delete an adapter, as DELETE /v1/adapters/{id} does',
  request: { params },
  responses: { 200: json('Deleted', named('ModelDeleted', modelDeleted)) },
});

export const models = new OpenAPIHono<AppEnv>()
  .openapi(list, async (c) => {
    const [db, tenant] = [c.get('db'), c.get('tenant')];
    const served = await baseModels(db);
    const ready = await readyAdapters(db, tenant, MAX_LISTED_MODELS + 1);
    const rows = [...served, ...ready.map((row) => adapterModel(row, tenant))];
    return c.json(
      toPage(
        rows,
        served.length + MAX_LISTED_MODELS,
        (row) => row,
        ({ id }) => id,
      ),
      200,
    );
  })
  .openapi(get, async (c) => {
    const [db, tenant] = [c.get('db'), c.get('tenant')];
    const { id } = c.req.valid('param');
    const base = (await baseModels(db)).find((served) => served.id === id);
    if (base) return c.json(base, 200);
    const found = adapterRef.safeParse(id).success ? await findAdapter(db, tenant, id) : undefined;
    if (!found) throw unknownModel(id);
    if (found.adapter.bundle === null) throw await whyNotServable(db, tenant, id, 'id');
    return c.json(adapterModel(found.adapter, tenant), 200);
  })
  .openapi(remove, async (c) => {
    const { id } = c.req.valid('param');
    const db = c.get('db');
    if (!(await removeAdapter(c.env, db, c.get('nodes'), c.get('tenant'), id))) {
      const isBase = (await baseModels(db)).some((served) => served.id === id);
      if (!isBase) throw unknownModel(id);
      throw new AppError(
        'invalid_request',
        `${id} is a base model, which nodes bring; only adapters are deleted.`,
        {
          param: 'id',
        },
      );
    }
    return c.json({ id, object: 'model' as const, deleted: true as const }, 200);
  });

function unknownModel(id: string): AppError {
  return new AppError('model_not_found', `There is no base model and no adapter ${id}.`, { param: 'id' });
}

function adapterModel(
  { name, version, baseModel, readyAt }: Awaited<ReturnType<typeof readyAdapters>>[number],
  tenant: string,
) {
  const id = `${name}@${version}`;
  return { id, object: 'model' as const, created: readyAt!, owned_by: tenant, base_model: baseModel };
}

/** The base models of all live nodes, each once. */
async function baseModels(db: Db) {
  const byId = Map.groupBy(await servedBaseModels(db, unixNow()), ({ id }) => id);
  return [...byId].map(([id, rows]) => {
    const nodesByPrecision: Record<string, number> = {};
    for (const precision of rows.flatMap(({ precisions }) => precisions)) {
      nodesByPrecision[precision] = (nodesByPrecision[precision] ?? 0) + 1;
    }
    return {
      id,
      object: 'model' as const,
      created: Math.min(...rows.map(({ registeredAt }) => registeredAt)),
      owned_by: 'weft',
      precisions: Object.keys(nodesByPrecision),
      nodes: rows.length,
      nodes_by_precision: nodesByPrecision,
    };
  });
}
