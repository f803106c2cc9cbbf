import { createRoute, OpenAPIHono } from '@hono/zod-openapi';
import { fleet as fleetObject } from '../../shared/api/fleet.ts';
import { unixNow } from '../clock.ts';
import { fleetNodes, openJobs } from '../db/fleet.ts';
import type { AppEnv } from '../http/app-env.ts';
import { json, named } from '../http/responses.ts';

const get = createRoute({
  operationId: 'getFleet',
  method: 'get',
  path: '/v1/fleet',
  summary:
    "Jobs that wait and run: a tenant's own, or with an operator's key all, and every node with its load",
  responses: { 200: json('The fleet, as far as the key may see it', named('Fleet', fleetObject)) },
});

export const fleet = new OpenAPIHono<AppEnv>().openapi(get, async (c) => {
  const db = c.get('db');
  const { role, tenant } = c.get('key');
  const isOperator = role === 'operator';
  const open = await openJobs(db, isOperator ? undefined : tenant);
  const nodes = isOperator ? await fleetNodes(db, unixNow()) : null;
  return c.json({ object: 'fleet' as const, role, nodes, ...open }, 200);
});
