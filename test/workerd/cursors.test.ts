import { beforeEach, describe, expect, it } from 'vitest';
import { EXAMPLES, submit } from './support/adapters.ts';
import { type Client, makeTenant, problemOf } from './support/api.ts';
import { TestNode } from './support/nodes.ts';

let client: Client;
let node: TestNode;

beforeEach(async () => {
  client = await makeTenant();
  node = await new TestNode().register();
});

async function upload(): Promise<string> {
  const form = new FormData();
  form.set('purpose', 'fine-tune');
  form.set('file', new File([EXAMPLES.map((row) => JSON.stringify(row)).join('\n')], 'rows.jsonl'));
  return (await client.call('/v1/files', { body: form })).body.id;
}

/** Five of each kind that can be deleted, oldest first. */
async function five(kind: string): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) {
    ids.push(
      kind === 'files' ? await upload() : await submit(client, 'many', { base_model: node.baseModel }),
    );
  }
  return ids;
}

describe.each(['files', 'adapters'])('a cursor into %s', (kind) => {
  const page = async (query: string) => (await client.call(`/v1/${kind}?limit=2&${query}`)).body;
  const remove = (id: string) => client.call(`/v1/${kind}/${id}`, { method: 'DELETE' });

  it.each(['asc', 'desc'])(
    'leads to the end while each page is deleted as it is listed, %s',
    async (order) => {
      const ids = await five(kind);
      const seen: string[] = [];
      for (let after = ''; ; ) {
        const { data, has_more, last_id } = await page(`order=${order}${after}`);
        for (const { id } of data) {
          seen.push(id);
          expect((await remove(id)).status).toBe(200);
        }
        if (!has_more) break;
        after = `&after=${last_id}`;
      }
      expect(seen).toEqual(order === 'asc' ? ids : ids.reverse());
      expect((await page('')).data).toEqual([]);
    },
  );

  it('is its tenant’s alone, deleted or not, and one that never was is unknown', async () => {
    const ids = await five(kind);
    await remove(ids[2]!);
    expect((await page(`after=${ids[2]}`)).data.map(({ id }: { id: string }) => id)).toEqual([
      ids[1],
      ids[0],
    ]);
    const stranger = await makeTenant();
    for (const after of [ids[2], ids[3]]) {
      expect(problemOf(await stranger.call(`/v1/${kind}?after=${after}`))).toMatchObject({
        status: 404,
        param: 'after',
      });
    }
    expect((await client.call(`/v1/${kind}?after=${kind === 'files' ? 'file_none' : 'none@1'}`)).status).toBe(
      404,
    );
  });
});

it('a cursor into adapters outlives all versions of a name that are deleted at once', async () => {
  const older = await submit(client, 'older', { base_model: node.baseModel });
  const [first] = await five('adapters');
  await client.call('/v1/adapters/many', { method: 'DELETE' });
  const { data } = (await client.call(`/v1/adapters?after=${first}`)).body;
  expect(data.map(({ id }: { id: string }) => id)).toEqual([older]);
});
