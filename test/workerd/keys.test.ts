import { eq } from 'drizzle-orm';
import { beforeEach, describe, expect, it } from 'vitest';
import { apiKeys } from '../../edge/db/schema.ts';
import { sha256Of } from '../../edge/hashing.ts';
import { isolate } from '../../edge/nodes/isolate.ts';
import { MAX_KEYS } from '../../shared/api/keys.ts';
import { type Client, call, db, makeTenant, problemOf } from './support/api.ts';

let client: Client;
beforeEach(async () => {
  client = await makeTenant();
});

const create = (json: object, key = client.key) => call(key, '/v1/keys', { json });
const statusWith = async (key: string) => (await call(key, '/v1/models')).status;
const listed = async () => (await client.call('/v1/keys')).body.data;
const now = () => Math.floor(Date.now() / 1000);
/** Makes a key's time run out. */
const expire = async (key: string) => {
  await db
    .update(apiKeys)
    .set({ expiresAt: now() - 1 })
    .where(eq(apiKeys.hash, await sha256Of(key)));
  isolate.keys.clear();
};

describe('a key', () => {
  it('is shown once, works, and is listed by its name beside the others', async () => {
    const { status, body } = await create({ name: 'laptop of Jürgen' });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      object: 'api_key',
      name: 'laptop of Jürgen',
      expires_at: null,
      current: false,
    });
    expect(await statusWith(body.key)).toBe(200);
    const { body: list } = await client.call('/v1/keys');
    expect(JSON.stringify(list)).not.toContain(body.key);
    expect(list.data.map(({ name, current }: Record<string, unknown>) => [name, current])).toEqual([
      [null, true],
      ['laptop of Jürgen', false],
    ]);
  });

  it('ends when it expires, also where the isolate remembers it', async () => {
    const { key, expires_at } = (await create({ name: 'short', expires_in: 60 })).body;
    expect(expires_at).toBeGreaterThanOrEqual(now() + 55);
    expect(await statusWith(key)).toBe(200);
    const remembered = isolate.keys.get(await sha256Of(key))!;
    isolate.keys.set(await sha256Of(key), { ...remembered, expiresAt: now() });
    expect(await statusWith(key)).toBe(401);
    await expire(key);
    expect(await statusWith(key)).toBe(401);
    expect(await listed()).toHaveLength(1);
  });

  it('ends when it is deleted', async () => {
    const { key, id } = (await create({ name: 'gone' })).body;
    expect(await statusWith(key)).toBe(200);
    expect((await client.call(`/v1/keys/${id}`, { method: 'DELETE' })).body).toMatchObject({
      id,
      deleted: true,
    });
    expect(await statusWith(key)).toBe(401);
    expect(problemOf(await client.call(`/v1/keys/${id}`, { method: 'DELETE' }))).toMatchObject({
      status: 404,
      code: 'key_not_found',
    });
  });

  it('tells when it was last used, which is written down seldom', async () => {
    const { key, id } = (await create({ name: 'used' })).body;
    const usedAt = async () =>
      (await listed()).find((one: { id: string }) => one.id === id).last_used_at as number | null;
    expect(await usedAt()).toBeNull();
    await statusWith(key);
    await expect.poll(usedAt).toBeGreaterThan(now() - 60);
    const isKey = eq(apiKeys.hash, await sha256Of(key));
    await db
      .update(apiKeys)
      .set({ lastUsedAt: now() - 300 })
      .where(isKey);
    isolate.keys.clear();
    await statusWith(key);
    expect(await usedAt()).toBeLessThan(now() - 200);
    await db
      .update(apiKeys)
      .set({ lastUsedAt: now() - 700 })
      .where(isKey);
    isolate.keys.clear();
    await statusWith(key);
    await expect.poll(usedAt).toBeGreaterThan(now() - 60);
  });

  it('of an operator keeps its role when it is rotated by an operator’s, and gives none to a key without one', async () => {
    const operator = await makeTenant('operator');
    expect((await call(operator.key, '/v1/keys', { json: { name: 'plain' } })).body.role).toBeNull();
    const plain = (await call(operator.key, '/v1/keys', { json: { name: 'other' } })).body.key;
    const { data } = (await operator.call('/v1/keys')).body;
    const own = data.find(({ current }: { current: boolean }) => current);
    expect(own.role).toBe('operator');
    const taken = await call(plain, `/v1/keys/${own.id}/rotate`, { json: { overlap: 3600 } });
    expect(taken.body.role).toBeNull();
    const rotated = await operator.call(`/v1/keys/${own.id}/rotate`, { json: {} });
    expect(rotated.body.role).toBe('operator');
  });

  it('is rotated without a gap: both work until the old one ends', async () => {
    const old = (await create({ name: 'ci' })).body;
    const rotated = await client.call(`/v1/keys/${old.id}/rotate`, { json: { overlap: 3600 } });
    expect(rotated.status).toBe(201);
    expect(rotated.body).toMatchObject({ name: 'ci', replaces: { id: old.id } });
    expect(rotated.body.replaces.expires_at).toBeGreaterThan(now() + 3500);
    expect([await statusWith(old.key), await statusWith(rotated.body.key)]).toEqual([200, 200]);
    await expire(old.key);
    expect([await statusWith(old.key), await statusWith(rotated.body.key)]).toEqual([401, 200]);
    const again = await client.call(`/v1/keys/${rotated.body.id}/rotate`, { json: { overlap: 0 } });
    expect([await statusWith(rotated.body.key), await statusWith(again.body.key)]).toEqual([401, 200]);
  });

  it('is rotated by a request without a body, and then works for a day more', async () => {
    const old = (await create({ name: 'ci' })).body;
    const rotated = await client.call(`/v1/keys/${old.id}/rotate`, { method: 'POST' });
    expect(rotated.status).toBe(201);
    const left = rotated.body.replaces.expires_at - now();
    expect(left).toBeGreaterThan(86_300);
    expect(left).toBeLessThanOrEqual(86_400);
  });

  it('that expires makes none that outlives it', async () => {
    const short = (await create({ name: 'short', expires_in: 600 })).body.key;
    const { id } = (await listed())[0];
    for (const refused of [
      await create({ name: 'long' }, short),
      await create({ name: 'long', expires_in: 6000 }, short),
      await call(short, `/v1/keys/${id}/rotate`, { json: {} }),
    ]) {
      expect(problemOf(refused)).toEqual({ status: 422, code: 'invalid_request', param: 'expires_in' });
    }
    expect((await create({ name: 'shorter', expires_in: 60 }, short)).status).toBe(201);
    expect(await listed()).toHaveLength(3);
  });

  it('is one of so many at most', async () => {
    const rows = Array.from({ length: MAX_KEYS - 1 }, (_, i) => ({
      hash: `${client.tenant}-${i}`,
      tenant: client.tenant,
      name: `${i}`,
      createdAt: 0,
    }));
    for (let i = 0; i < rows.length; i += 20) await db.insert(apiKeys).values(rows.slice(i, i + 20));
    const current = (await listed()).find((one: { current: boolean }) => one.current);
    expect(problemOf(await create({ name: 'more' }))).toMatchObject({ status: 409, code: 'limit_reached' });
    const rotated = await client.call(`/v1/keys/${current.id}/rotate`, { json: {} });
    expect(problemOf(rotated)).toMatchObject({ status: 409, code: 'limit_reached' });
    expect((await listed()).find((one: { current: boolean }) => one.current).expires_at).toBeNull();
  });

  it('of another tenant is neither listed, rotated nor ended', async () => {
    const stranger = await makeTenant();
    const [{ id }] = await listed();
    for (const attempt of [
      await stranger.call(`/v1/keys/${id}`, { method: 'DELETE' }),
      await stranger.call(`/v1/keys/${id}/rotate`, { json: {} }),
    ]) {
      expect(problemOf(attempt)).toMatchObject({ status: 404, code: 'key_not_found' });
    }
    expect((await stranger.call('/v1/keys')).body.data.map((one: { id: string }) => one.id)).not.toContain(
      id,
    );
    expect(await statusWith(client.key)).toBe(200);
  });
});
