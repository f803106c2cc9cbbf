import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isolate } from '../../edge/nodes/isolate.ts';
import { MAX_ALIASES } from '../../shared/api/aliases.ts';
import { makeReady, submit } from './support/adapters.ts';
import { type Answer, type Client, makeTenant, problemOf } from './support/api.ts';
import { classifyAsNode, serveNodes, TestNode } from './support/nodes.ts';

let client: Client;
let node: TestNode;

beforeAll(async () => {
  node = await new TestNode().register();
  serveNodes((call) =>
    call.url.endsWith('/classify') ? classifyAsNode(call) : new Response(null, { status: 204 }),
  );
});

beforeEach(async () => {
  client = await makeTenant();
  isolate.nodes.clear();
});

const pathOf = (ref: string) => `/v1/adapters/${ref.replace('@', '/aliases/')}`;
const point = (ref: string, version: unknown, as = client) =>
  as.call(pathOf(ref), { method: 'PUT', json: { version } });
const rollBack = (ref: string, headers = {}) =>
  client.call(`${pathOf(ref)}/rollback`, { method: 'POST', headers });
const remove = (ref: string) => client.call(`/v1/adapters/${ref}`, { method: 'DELETE' });
const historyOf = async (ref: string) => (await client.call(`${pathOf(ref)}/history`)).body.data;
const stepsOf = async (ref: string) =>
  (await historyOf(ref)).map(({ from, to, rollback }: Record<string, unknown>) => [from, to, rollback]);
/** The adapter that answers for a model, or a status. */
const answerTo = async (model: string): Promise<string | number> => {
  const { status, body } = await client.call('/v1/classify', { json: { model, input: 'x' } });
  return status === 200 ? body.model : status;
};
/** An adapter with so many ready versions. */
const make = async (name: string, versions: number) => {
  for (let i = 0; i < versions; i++) await makeReady(client, node, name);
};

describe('an alias', () => {
  it('names a version wherever an adapter is named', async () => {
    await make('spam', 2);
    const { status, body } = await point('spam@prod', 1);
    expect(status).toBe(200);
    expect(body).toMatchObject({ object: 'adapter.alias', id: 'spam@prod', version: 1, adapter: 'spam@1' });
    expect(await answerTo('spam@prod')).toBe('spam@1');
    expect(await answerTo('spam')).toBe('spam@2');
    const mixed = {
      input: [
        { model: 'spam@prod', text: 'x' },
        { model: 'spam', text: 'x' },
      ],
    };
    const { data } = (await client.call('/v1/classify', { json: mixed })).body;
    expect(data.map(({ model }: { model: string }) => model)).toEqual(['spam@1', 'spam@2']);
    expect((await client.call('/v1/adapters/spam@prod')).body.id).toBe('spam@1');
    expect((await client.call('/v1/adapters/spam@prod/warm', { method: 'POST' })).body.id).toBe('spam@1');
    expect((await client.call('/v1/adapters/spam@prod/files/weft.json')).status).toBe(200);
  });

  it('is moved in one call, and what it named before answers no more, whatever an isolate remembers', async () => {
    await make('moved', 2);
    await point('moved@prod', 1);
    expect(await answerTo('moved@prod')).toBe('moved@1');
    await point('moved@prod', 2);
    expect(await answerTo('moved@prod')).toBe('moved@2');
    await client.call(pathOf('moved@prod'), { method: 'DELETE' });
    expect(await answerTo('moved@prod')).toBe(404);
  });

  it('is listed by name, and read', async () => {
    await make('listed', 1);
    for (const alias of ['prod', 'canary']) await point(`listed@${alias}`, 1);
    const { body } = await client.call('/v1/adapters/listed/aliases');
    expect(body.data.map(({ id }: { id: string }) => id)).toEqual(['listed@canary', 'listed@prod']);
    expect(body.has_more).toBe(false);
    expect((await client.call(pathOf('listed@prod'))).body).toEqual(body.data[1]);
  });

  it('is refused where it looks like a version, or is no name', async () => {
    await make('odd', 1);
    for (const alias of ['3', '1st', 'Prod', 'a_b', 'a'.repeat(33)]) {
      expect(problemOf(await point(`odd@${alias}`, 1))).toEqual({
        status: 422,
        code: 'invalid_request',
        param: 'alias',
      });
    }
    for (const model of ['odd@Prod', 'odd@1st']) expect(await answerTo(model)).toBe(422);
  });

  it('names only what is ready', async () => {
    await make('half', 1);
    await submit(client, 'half', { base_model: node.baseModel });
    expect(problemOf(await point('half@prod', 2))).toMatchObject({ status: 409, code: 'adapter_not_ready' });
    expect(problemOf(await point('half@prod', 3))).toMatchObject({
      status: 404,
      code: 'adapter_not_found',
      param: 'version',
    });
    expect(problemOf(await point('half@prod', 0))).toMatchObject({ status: 422, param: 'version' });
    expect(problemOf(await point('none@prod', 1))).toMatchObject({ status: 404, code: 'adapter_not_found' });
    expect(await answerTo('half@prod')).toBe(404);
    await remove('half@2');
  });

  it('is one of so many at most', async () => {
    await make('many', 1);
    for (let i = 0; i < MAX_ALIASES; i++) expect((await point(`many@a${i}`, 1)).status).toBe(200);
    const refused = await point('many@more', 1);
    expect(problemOf(refused)).toMatchObject({ status: 409, code: 'limit_reached' });
    expect((await point('many@a0', 1)).status).toBe(200);
  });
});

describe('the history of an alias', () => {
  it('tells who moved it, when, from which version to which, also once it is deleted', async () => {
    await make('told', 2);
    for (const version of [1, 2, 2]) await point('told@prod', version);
    await client.call(pathOf('told@prod'), { method: 'DELETE' });
    expect(await stepsOf('told@prod')).toEqual([
      [2, null, false],
      [1, 2, false],
      [null, 1, false],
    ]);
    const [newest] = await historyOf('told@prod');
    expect(newest.by).toEqual({ key: expect.stringMatching(/^key_[0-9a-f]{16}$/), name: null });
    expect(newest.created_at).toBeGreaterThan(1.7e9);
    expect((await client.call(pathOf('told@prod'))).status).toBe(404);
    expect((await client.call(`${pathOf('told@never')}/history`)).status).toBe(404);
  });

  it('comes in pages', async () => {
    await make('paged', 2);
    for (const version of [1, 2, 1]) await point('paged@prod', version);
    const path = `${pathOf('paged@prod')}/history`;
    const first = (await client.call(`${path}?limit=2`)).body;
    expect(first).toMatchObject({ has_more: true, last_id: 'paged@prod:2' });
    const rest = (await client.call(`${path}?limit=2&after=${first.last_id}`)).body;
    expect(rest.data.map(({ id }: { id: string }) => id)).toEqual(['paged@prod:1']);
    const wrong = await client.call(`${path}?after=paged@canary:1`);
    expect(problemOf(wrong)).toMatchObject({ status: 422, param: 'after' });
  });

  it('goes with the last version of its adapter', async () => {
    await make('brief', 1);
    await point('brief@prod', 1);
    await client.call(pathOf('brief@prod'), { method: 'DELETE' });
    await remove('brief');
    await make('brief', 1);
    expect((await client.call(`${pathOf('brief@prod')}/history`)).status).toBe(404);
  });
});

describe('a rollback', () => {
  it('goes back one change, and again one more, and is in the history', async () => {
    await make('back', 3);
    for (const version of [1, 2, 3]) await point('back@prod', version);
    expect((await rollBack('back@prod')).body.version).toBe(2);
    expect(await answerTo('back@prod')).toBe('back@2');
    expect((await rollBack('back@prod')).body.version).toBe(1);
    expect(problemOf(await rollBack('back@prod'))).toMatchObject({
      status: 409,
      code: 'nothing_to_roll_back',
    });
    await point('back@prod', 3);
    expect((await rollBack('back@prod')).body.version).toBe(1);
    expect((await stepsOf('back@prod')).slice(0, 4)).toEqual([
      [3, 1, true],
      [1, 3, false],
      [2, 1, true],
      [3, 2, true],
    ]);
  });

  it('that a client repeats by its key is made once', async () => {
    await make('once', 3);
    for (const version of [1, 2, 3]) await point('once@prod', version);
    const headers = { 'idempotency-key': 'a', 'content-type': 'application/json' };
    expect((await rollBack('once@prod', headers)).body.version).toBe(2);
    expect((await rollBack('once@prod', headers)).body.version).toBe(2);
    expect((await client.call(pathOf('once@prod'))).body.version).toBe(2);
  });

  it('never goes to a version that has been deleted', async () => {
    await make('lost', 2);
    for (const version of [1, 2]) await point('lost@prod', version);
    await remove('lost@1');
    const refused = await rollBack('lost@prod');
    expect(problemOf(refused)).toMatchObject({ status: 409, code: 'nothing_to_roll_back' });
    expect(refused.body.detail).toContain('lost@1');
    expect(problemOf(await rollBack('lost@none'))).toMatchObject({ status: 404, code: 'alias_not_found' });
  });
});

describe('a version that an alias names', () => {
  it('is not deleted, by whichever of its names, until the alias lets it go', async () => {
    await make('kept', 2);
    await point('kept@prod', 1);
    const refusals: Answer[] = [];
    for (const ref of ['kept@1', 'kept@prod', 'kept']) refusals.push(await remove(ref));
    for (const refused of refusals) {
      expect(problemOf(refused)).toMatchObject({ status: 409, code: 'adapter_in_use' });
      expect(refused.body.detail).toContain('kept@prod');
    }
    expect((await remove('kept@2')).status).toBe(200);
    await client.call(pathOf('kept@prod'), { method: 'DELETE' });
    expect((await remove('kept@1')).status).toBe(200);
  });
});
