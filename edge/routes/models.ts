import { createRoute, OpenAPIHono } from '@hono/zod-openapi';
import { listOf } from '../../shared/api/common.ts';
import { baseModelObject } from '../../shared/api/inference.ts';
import type { LiveNode } from '../base-models.ts';
import { unixNow } from '../clock.ts';
import { liveNodes } from '../db/nodes.ts';
import type { AppEnv } from '../http/app-env.ts';
import { toPage } from '../http/pages.ts';
import { json, named } from '../http/responses.ts';

const list = createRoute({
  operationId: 'listModels',
  method: 'get',
  path: '/v1/models',
  summary: 'Base models, their precisions, and how many nodes serve each',
  responses: { 200: json('Base models', named('ModelList', listOf(named('Model', baseModelObject)))) },
});

export const models = new OpenAPIHono<AppEnv>().openapi(list, async (c) => {
  const served = byBaseModel(await liveNodes(c.get('db'), unixNow()));
  return c.json(
    toPage(
      served,
      served.length,
      (model) => model,
      ({ id }) => id,
    ),
    200,
  );
});

function byBaseModel(nodes: LiveNode[]) {
  const byId = new Map<string, { nodes: number; nodesByPrecision: Record<string, number> }>();
  for (const model of nodes.flatMap((node) => node.baseModels)) {
    const served = byId.get(model.id) ?? { nodes: 0, nodesByPrecision: {} };
    served.nodes += 1;
    for (const precision of model.precisions) {
      served.nodesByPrecision[precision] = (served.nodesByPrecision[precision] ?? 0) + 1;
    }
    byId.set(model.id, served);
  }
  return [...byId].map(([id, { nodes, nodesByPrecision }]) => ({
    id,
    object: 'model' as const,
    owned_by: 'weft',
    precisions: Object.keys(nodesByPrecision),
    nodes,
    nodes_by_precision: nodesByPrecision,
  }));
}
