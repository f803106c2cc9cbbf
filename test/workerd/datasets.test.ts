import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { adapters, jobs } from '../../edge/db/schema.ts';
import { type Client, db, makeTenant, problemOf } from './support/api.ts';
import { TestNode } from './support/nodes.ts';

let client: Client;
let node: TestNode;

beforeAll(async () => {
  client = await makeTenant();
  node = await new TestNode().register();
});

// A node that was heard of too long ago is not alive, however slow the machine.
beforeEach(async () => {
  await node.beat();
});

async function upload(labels: string[], as = client): Promise<string> {
  const rows = labels.map((label, i) => `${JSON.stringify({ text: `text ${i}`, label })}\n`);
  const form = new FormData();
  form.set('purpose', 'fine-tune');
  form.set('file', new File(rows, 'rows.jsonl'));
  const { status, body } = await as.call('/v1/files', { body: form });
  if (status !== 201) throw new Error(`uploading: ${JSON.stringify(body)}`);
  return body.id;
}

const train = (json: object) =>
  client.call('/v1/adapters', { json: { name: 'x', base_model: node.baseModel, ...json } });

describe('training on uploaded files', () => {
  it('queues a job that names its files, and leases it with its validation file', async () => {
    const [training_file, validation_file] = [await upload(['a', 'a', 'b', 'b']), await upload(['b', 'a'])];
    const { status, body } = await train({ training_file, validation_file });
    expect(status).toBe(202);
    const job = (await client.call(`/v1/fine_tuning/jobs/${body.job_id}`)).body;
    expect(job).toMatchObject({ training_file, validation_file, adapter: body.id });
    expect(await node.lease()).toMatchObject({ job_id: job.id, has_validation_file: true });
  });

  it.each([
    ['one label only', ['a', 'a', 'a'], undefined, 'training_file'],
    ['a label with one example', ['a', 'a', 'b'], undefined, 'training_file'],
    ['a validation label unseen in training', ['a', 'a', 'b', 'b'], ['a', 'c'], 'validation_file'],
  ])('refuses %s and leaves nothing behind', async (_, training, validation, param) => {
    const training_file = await upload(training);
    const validation_file = validation && (await upload(validation));
    const before = [await db.$count(jobs), await db.$count(adapters)];
    const answer = await train({ training_file, ...(validation_file && { validation_file }) });
    expect(problemOf(answer)).toEqual({ status: 422, code: 'invalid_dataset', param });
    expect([await db.$count(jobs), await db.$count(adapters)]).toEqual(before);
  });

  it("refuses another tenant's file as if there were none", async () => {
    const stranger = await makeTenant();
    const training_file = await upload(['a', 'a', 'b', 'b'], stranger);
    expect(problemOf(await train({ training_file }))).toEqual({
      status: 404,
      code: 'file_not_found',
      param: 'training_file',
    });
  });

  it('keeps a file while a job needs it, and lets it go after', async () => {
    const training_file = await upload(['a', 'a', 'b', 'b']);
    const { body } = await train({ training_file });
    const remove = () => client.call(`/v1/files/${training_file}`, { method: 'DELETE' });
    expect(problemOf(await remove())).toMatchObject({ status: 409, code: 'file_in_use' });
    await client.call(`/v1/fine_tuning/jobs/${body.job_id}/cancel`, { method: 'POST' });
    expect((await remove()).status).toBe(200);
    expect(problemOf(await train({ training_file }))).toMatchObject({ code: 'file_not_found' });
  });
});
