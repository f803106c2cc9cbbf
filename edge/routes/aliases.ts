import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { alias, aliasChange, aliasDeleted, aliasHistoryQuery, putAlias } from '../../shared/api/aliases.ts';
import { adapterName, aliasName, listOf } from '../../shared/api/common.ts';
import { AppError } from '../../shared/errors.ts';
import { pointAlias, readAlias, removeAlias, revertAlias, unknownAlias } from '../adapters/change-alias.ts';
import { findAdapter } from '../db/adapters.ts';
import {
  type AliasKey,
  aliasChangeId,
  aliasesOf,
  pageOfAliasChanges,
  viewAlias,
  viewAliasChange,
} from '../db/aliases.ts';
import type { AppEnv } from '../http/app-env.ts';
import { toPage } from '../http/pages.ts';
import { json, jsonRequest, named } from '../http/responses.ts';
import { idempotent } from '../middleware/idempotency.ts';
import { jsonBody } from '../middleware/json-body.ts';

const MAX_BODY_BYTES = 1024;

const Alias = named('Alias', alias);
const ofAdapter = z.object({ name: z.string() });
const params = z.object({ name: z.string(), alias: aliasName });
const one = { 200: json('The alias', Alias) };

const list = createRoute({
  operationId: 'listAliases',
  method: 'get',
  path: '/v1/adapters/{name}/aliases',
  summary: "List an adapter's aliases",
  request: { params: ofAdapter },
  responses: { 200: json('All of them', named('AliasList', listOf(Alias))) },
});

const put = createRoute({
  operationId: 'putAlias',
  method: 'put',
  path: '/v1/adapters/{name}/aliases/{alias}',
  summary: 'Point an alias to a version; from then on name@alias means it',
  middleware: jsonBody(MAX_BODY_BYTES),
  request: { params, body: jsonRequest(named('PutAlias', putAlias)) },
  responses: one,
});

const get = createRoute({
  operationId: 'getAlias',
  method: 'get',
  path: '/v1/adapters/{name}/aliases/{alias}',
  summary: 'Get an alias',
  request: { params },
  responses: one,
});

const remove = createRoute({
  operationId: 'deleteAlias',
  method: 'delete',
  path: '/v1/adapters/{name}/aliases/{alias}',
  summary: 'Delete an alias; its history stays',
  request: { params },
  responses: { 200: json('Deleted', named('AliasDeleted', aliasDeleted)) },
});

const history = createRoute({
  operationId: 'listAliasChanges',
  method: 'get',
  path: '/v1/adapters/{name}/aliases/{alias}/history',
  summary: 'List the last 1,000 changes of an alias: when, by which key, from which version to which',
  request: { params, query: aliasHistoryQuery },
  responses: { 200: json('A page', named('AliasChangeList', listOf(named('AliasChange', aliasChange)))) },
});

const rollback = createRoute({
  operationId: 'rollBackAlias',
  method: 'post',
  path: '/v1/adapters/{name}/aliases/{alias}/rollback',
  summary: 'Point an alias to what it named before its last change; once more, to what it named before that',
  middleware: [...jsonBody(MAX_BODY_BYTES), idempotent],
  request: { params },
  responses: one,
});

export const aliases = new OpenAPIHono<AppEnv>()
  .openapi(list, async (c) => {
    const { name } = c.req.valid('param');
    await requireAdapter(c, name);
    const rows = await aliasesOf(c.get('db'), c.get('tenant'), name);
    return c.json(
      toPage(rows, rows.length, viewAlias, ({ id }) => id),
      200,
    );
  })
  .openapi(put, async (c) => {
    const key = await keyOf(c, c.req.valid('param'));
    const { version } = c.req.valid('json');
    return c.json(viewAlias(await pointAlias(changeOf(c, key), version)), 200);
  })
  .openapi(get, async (c) => {
    const key = await keyOf(c, c.req.valid('param'));
    return c.json(viewAlias(await readAlias(c.get('db'), key)), 200);
  })
  .openapi(remove, async (c) => {
    const key = await keyOf(c, c.req.valid('param'));
    await removeAlias(changeOf(c, key));
    const id = `${key.name}@${key.alias}`;
    return c.json({ id, object: 'adapter.alias' as const, deleted: true as const }, 200);
  })
  .openapi(history, async (c) => {
    const key = await keyOf(c, c.req.valid('param'));
    const { after, limit, order } = c.req.valid('query');
    const last = numberOf(key, after);
    const rows = await pageOfAliasChanges(c.get('db'), key, { last, limit, order });
    // An alias that was deleted still has its history; one that never was has none.
    if (rows.length === 0 && after === undefined) throw unknownAlias(key);
    return c.json(
      toPage(rows, limit, viewAliasChange, ({ id }) => id),
      200,
    );
  })
  .openapi(rollback, async (c) => {
    const key = await keyOf(c, c.req.valid('param'));
    return c.json(viewAlias(await revertAlias(changeOf(c, key))), 200);
  });

function changeOf(c: Context<AppEnv>, key: AliasKey) {
  return { db: c.get('db'), client: c.get('nodes'), key, by: c.get('key') };
}

/** @throws {AppError} `adapter_not_found` where the tenant has no adapter of this name */
async function keyOf(c: Context<AppEnv>, { name, alias }: z.infer<typeof params>): Promise<AliasKey> {
  await requireAdapter(c, name);
  return { tenant: c.get('tenant'), name, alias };
}

async function requireAdapter(c: Context<AppEnv>, name: string): Promise<void> {
  const isName = adapterName.safeParse(name).success;
  if (isName && (await findAdapter(c.get('db'), c.get('tenant'), name))) return;
  const way = name.includes('@')
    ? ` Name it without a version, as in ${name.slice(0, name.indexOf('@'))}.`
    : '';
  throw new AppError('adapter_not_found', `There is no adapter of the name ${name}.${way}`);
}

function numberOf(key: AliasKey, id: string | undefined): number | undefined {
  if (id === undefined) return undefined;
  const number = Number(/:([0-9]{1,15})$/.exec(id)?.[1]);
  if (id === aliasChangeId(key, number)) return number;
  const message = `after must be an id of this alias's changes, such as ${aliasChangeId(key, 1)}.`;
  throw new AppError('invalid_request', message, { param: 'after' });
}
