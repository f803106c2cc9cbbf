import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { listOf } from '../../shared/api/common.ts';
import {
  apiKey,
  createKey,
  keyDeleted,
  keyId,
  MAX_KEYS,
  madeKey,
  rotatedKey,
  rotateKey,
} from '../../shared/api/keys.ts';
import { AppError } from '../../shared/errors.ts';
import { unixNow } from '../clock.ts';
import {
  addKey,
  type ClientKey,
  findKeyById,
  type KeyRow,
  keyIdOf,
  keysOf,
  replaceKey,
  revokeKey,
  viewKey,
} from '../db/api-keys.ts';
import type { AppEnv } from '../http/app-env.ts';
import { toPage } from '../http/pages.ts';
import { json, jsonRequest, named } from '../http/responses.ts';
import { jsonBody } from '../middleware/json-body.ts';
import { newKey } from '../new-key.ts';
import { isolate } from '../nodes/isolate.ts';

const MAX_BODY_BYTES = 1024;

const Key = named('ApiKey', apiKey);
const params = z.object({ id: keyId });

const list = createRoute({
  operationId: 'listKeys',
  method: 'get',
  path: '/v1/keys',
  summary: "List the tenant's keys in use",
  responses: { 200: json('All of them', named('ApiKeyList', listOf(Key))) },
});

// It takes no Idempotency-Key: the answer kept for that would hold the key.
const create = createRoute({
  operationId: 'createKey',
  method: 'post',
  path: '/v1/keys',
  summary: 'Make a key, which is shown this once. A key that expires makes none that outlives it',
  middleware: jsonBody(MAX_BODY_BYTES),
  request: { body: jsonRequest(named('CreateKey', createKey)) },
  responses: { 201: json('The key', named('MadeApiKey', madeKey)) },
});

const rotate = createRoute({
  operationId: 'rotateKey',
  method: 'post',
  path: '/v1/keys/{id}/rotate',
  summary: 'Make a key in place of another, which goes on working for a day or as long as is asked',
  middleware: jsonBody(MAX_BODY_BYTES),
  request: { params, body: { ...jsonRequest(named('RotateKey', rotateKey)), required: false } },
  responses: { 201: json('The new key', named('RotatedApiKey', rotatedKey)) },
});

const remove = createRoute({
  operationId: 'deleteKey',
  method: 'delete',
  path: '/v1/keys/{id}',
  summary: 'End a key, within five seconds',
  request: { params },
  responses: { 200: json('Ended', named('ApiKeyDeleted', keyDeleted)) },
});

export const keys = new OpenAPIHono<AppEnv>()
  .openapi(list, async (c) => {
    const rows = await keysOf(c.get('db'), c.get('tenant'), unixNow());
    const { hash } = c.get('key');
    return c.json(
      toPage(
        rows,
        rows.length,
        (row) => viewKey(row, hash),
        ({ id }) => id,
      ),
      200,
    );
  })
  .openapi(create, async (c) => {
    const { name, expires_in } = c.req.valid('json');
    const now = unixNow();
    const expiresAt = expires_in === undefined ? null : now + expires_in;
    refuseLonger(c.get('key'), expiresAt);
    const { key, hash } = await newKey();
    const made = { hash, tenant: c.get('tenant'), name, expiresAt, role: null };
    if (!(await addKey(c.get('db'), made, now))) throw tooMany();
    return c.json({ ...viewKey({ ...made, createdAt: now, lastUsedAt: null }, c.get('key').hash), key }, 201);
  })
  .openapi(rotate, async (c) => {
    const { id } = c.req.valid('param');
    const [db, tenant, now] = [c.get('db'), c.get('tenant'), unixNow()];
    const old = await findKeyById(db, tenant, id, now);
    if (!old) throw unknownKey(id);
    refuseLonger(c.get('key'), old.expiresAt);
    const { key, hash } = await newKey();
    // Who has no role gets none by taking a key's place.
    const role = c.get('key').role === old.role ? old.role : null;
    const made = { hash, tenant, name: old.name, expiresAt: old.expiresAt, role };
    // Without a body nothing was parsed, and so nothing has its default.
    const { overlap } = rotateKey.parse(c.req.valid('json'));
    const endsAt = await replaceKey(db, id, made, now + overlap, now);
    if (endsAt === undefined) {
      if (!(await findKeyById(db, tenant, id, now))) throw unknownKey(id);
      throw tooMany();
    }
    isolate.keys.delete(old.hash);
    const shown = viewKey({ ...made, createdAt: now, lastUsedAt: null }, c.get('key').hash);
    return c.json({ ...shown, key, replaces: { id: keyIdOf(old.hash), expires_at: endsAt } }, 201);
  })
  .openapi(remove, async (c) => {
    const { id } = c.req.valid('param');
    const hash = await revokeKey(c.get('db'), c.get('tenant'), id, unixNow());
    if (hash === undefined) throw unknownKey(id);
    isolate.keys.delete(hash);
    return c.json({ id, object: 'api_key' as const, deleted: true as const }, 200);
  });

/** Keeps a key that was made for a while from being turned into one that lasts. */
function refuseLonger(by: ClientKey, expiresAt: KeyRow['expiresAt']): void {
  if (by.expiresAt === null || (expiresAt !== null && expiresAt <= by.expiresAt)) return;
  const message = `expires_in: the key of this request expires at ${by.expiresAt}, and makes none that outlives it.`;
  throw new AppError('invalid_request', message, { param: 'expires_in' });
}

function tooMany(): AppError {
  return new AppError(
    'limit_reached',
    `There are ${MAX_KEYS} keys in use, which is the most: end one first.`,
  );
}

function unknownKey(id: string): AppError {
  return new AppError('key_not_found', `There is no key ${id} in use.`);
}
