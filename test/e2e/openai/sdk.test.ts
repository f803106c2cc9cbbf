import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI, { type APIError, NotFoundError, toFile } from 'openai';
import OpenAI6 from 'openai-6';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Platform, startPlatform } from '../../../scripts/platform.ts';
import { TINY_BERT } from '../../support/tiny-bert.ts';

const NODE_ENV = { WEFT_BASE_MODEL: TINY_BERT, WEFT_THREADS: '2', WEFT_NODE_PORT: '0' };
const ROWS = Array.from({ length: 40 }, (_, i) => ({ label: i % 2 ? 'spam' : 'ham', text: `row ${i}` })).map(
  ({ label, text }) => ({ text: `${label} ${text}`, label }),
);
const JSONL = ROWS.map((row) => `${JSON.stringify(row)}\n`).join('');
const CSV = `text,label\n${ROWS.map(({ text, label }) => `${text},${label}\n`).join('')}`;
const CHATS = ROWS.map(({ text, label }) => {
  const messages = [
    { role: 'system', content: 'Is it spam?' },
    { role: 'user', content: text },
    { role: 'assistant', content: label },
  ];
  return `${JSON.stringify({ messages })}\n`;
}).join('');

let home: string;
let platform: Platform;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'weft openai '));
  platform = await startPlatform({ home, port: 0, key: 'k', nodeEnv: NODE_ENV, log: () => {} });
});
afterAll(async () => {
  await platform?.stop();
  await rm(home, { recursive: true, force: true });
});

/** How often the SDK has sent a request. */
let sent = 0;
const counted: typeof fetch = (...args) => {
  sent += 1;
  return fetch(...args);
};

/** The SDKs of both majors have the same methods, as far as these are called. */
function clientOf(Client: typeof OpenAI): OpenAI {
  return new Client({ baseURL: `${platform.url}/v1`, apiKey: platform.key, fetch: counted });
}

async function refusal(request: Promise<unknown>): Promise<InstanceType<typeof APIError>> {
  return request.then(
    () => Promise.reject(new Error('it was not refused')),
    (error) => error,
  );
}

describe.each([
  ['7', OpenAI],
  ['6', OpenAI6 as unknown as typeof OpenAI],
])('the official SDK for JavaScript, version %s', (major, Client) => {
  let client: OpenAI;
  let file: OpenAI.FileObject;
  let job: OpenAI.FineTuning.FineTuningJob;
  beforeAll(async () => {
    client = clientOf(Client);
    file = await client.files.create({
      file: await toFile(Buffer.from(JSONL), 'rows.jsonl'),
      purpose: 'fine-tune',
    });
    job = await client.fineTuning.jobs.create({
      model: 'tiny-bert',
      training_file: file.id,
      suffix: `sdk-${major}`,
      seed: 7,
      metadata: { team: `team-${major}` },
      method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 2, batch_size: 8 } } },
    });
  });

  async function ended(id: string): Promise<OpenAI.FineTuning.FineTuningJob> {
    for (;;) {
      const now = await client.fineTuning.jobs.retrieve(id);
      if (!['queued', 'running'].includes(now.status)) return now;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  it('uploads files, waits for them, reads, lists and deletes them', async () => {
    expect(file).toMatchObject({
      object: 'file',
      id: expect.stringMatching(/^file_/),
      bytes: Buffer.byteLength(JSONL),
      created_at: expect.any(Number),
      filename: 'rows.jsonl',
      purpose: 'fine-tune',
      status: 'processed',
    });
    expect(await client.files.waitForProcessing(file.id, { pollInterval: 10, maxWait: 5000 })).toEqual(file);
    expect(await client.files.retrieve(file.id)).toEqual(file);
    const content = await client.files.content(file.id);
    expect(await content.text()).toBe(JSONL);
    const csv = await client.files.create({
      file: await toFile(Buffer.from(CSV), 'rows.csv'),
      purpose: 'fine-tune',
      expires_after: { anchor: 'created_at', seconds: 3600 },
    });
    expect(csv.expires_at).toBe(csv.created_at + 3600);
    const chats = await client.files.create({
      file: await toFile(Buffer.from(CHATS), 'chats.jsonl'),
      purpose: 'fine-tune',
    });
    expect(chats).toMatchObject({ examples: 40, labels: { spam: 20, ham: 20 } });
    const listed: string[] = [];
    for await (const { id } of client.files.list({
      purpose: 'fine-tune',
      order: 'asc',
      after: file.id,
      limit: 1,
    }))
      listed.push(id);
    expect(listed.slice(0, 2)).toEqual([csv.id, chats.id]);
    const page = await client.files.list({ limit: 10_000 });
    expect(page.data.map(({ id }) => id)).toEqual(expect.arrayContaining([file.id, csv.id, chats.id]));
    for (const { id } of [csv, chats]) {
      expect(await client.files.delete(id)).toEqual({ id, object: 'file', deleted: true });
    }
    expect(await refusal(client.files.retrieve(csv.id))).toMatchObject({
      status: 404,
      code: 'file_not_found',
    });
  });

  it('creates a job with every field, and follows it to its end', async () => {
    const hyperparameters = { n_epochs: 2, batch_size: 8, learning_rate_multiplier: 'auto' };
    expect(job).toMatchObject({
      object: 'fine_tuning.job',
      id: expect.stringMatching(/^ftjob_/),
      created_at: expect.any(Number),
      error: null,
      fine_tuned_model: null,
      finished_at: null,
      hyperparameters,
      integrations: [],
      metadata: { team: `team-${major}` },
      method: { type: 'supervised', supervised: { hyperparameters } },
      model: 'tiny-bert',
      organization_id: expect.any(String),
      result_files: [],
      seed: 7,
      trained_tokens: null,
      training_file: file.id,
      validation_file: null,
      estimated_finish: null,
    });
    const done = await ended(job.id);
    expect(done).toMatchObject({
      status: 'succeeded',
      fine_tuned_model: `sdk-${major}@1`,
      finished_at: expect.any(Number),
      trained_tokens: expect.any(Number),
      hyperparameters: { n_epochs: 2, batch_size: 8, learning_rate_multiplier: 1 },
    });
    const found: string[] = [];
    for await (const { id } of client.fineTuning.jobs.list({ metadata: { team: `team-${major}` } }))
      found.push(id);
    expect(found).toEqual([job.id]);
  });

  it('lists events in the words that clients look for, with their metrics', async () => {
    await ended(job.id);
    const events: OpenAI.FineTuning.FineTuningJobEvent[] = [];
    for await (const event of client.fineTuning.jobs.listEvents(job.id, { limit: 3 })) events.unshift(event);
    const messages = events.map(({ message }) => message);
    expect(messages.at(-1)).toBe('The job has successfully completed');
    expect(messages.at(-2)).toBe(`New fine-tuned model created: sdk-${major}@1`);
    const steps = events.filter(({ message }) => /^Step \d+\/\d+: training loss=\d+\.\d+$/.test(message));
    expect(steps.length).toBeGreaterThan(2);
    for (const { type, data, message } of steps) {
      expect(type).toBe('metrics');
      expect(data).toMatchObject({ step: Number(/\d+/.exec(message)![0]), train_loss: expect.any(Number) });
    }
  });

  it('gives the results as CSV', async () => {
    const { result_files } = await ended(job.id);
    expect(result_files).toHaveLength(1);
    const results = await client.files.retrieve(result_files[0]!);
    expect(results).toMatchObject({ purpose: 'fine-tune-results', status: 'processed' });
    const content = await client.files.content(result_files[0]!);
    const lines = (await content.text()).trimEnd().split('\n');
    expect(lines[0]).toBe('step,train_loss,valid_loss,valid_accuracy,valid_f1');
    expect(lines.length).toBeGreaterThan(3);
    expect(lines.at(-1)).toMatch(/^\d+,[\d.e-]+,[\d.e-]+,[\d.e-]+,[\d.e-]+$/);
    const { data } = await client.files.list({ purpose: 'fine-tune-results' });
    expect(data.map(({ id }) => id)).toContain(result_files[0]);
  });

  it('lists, retrieves and deletes models, and trains by the names of old', async () => {
    const older = await client.fineTuning.jobs.create({
      model: 'tiny-bert',
      training_file: file.id,
      validation_file: file.id,
      suffix: `sdk-${major}`,
      hyperparameters: { n_epochs: 1, batch_size: 'auto', learning_rate_multiplier: 2 },
    });
    const done = await ended(older.id);
    expect(done).toMatchObject({
      status: 'succeeded',
      validation_file: file.id,
      hyperparameters: { n_epochs: 1, learning_rate_multiplier: 2 },
    });
    const {
      id,
      model: by,
      results,
    } = await client.moderations.create({
      model: done.fine_tuned_model!,
      input: ['spam row 1', 'ham row 2'],
    });
    expect([id.startsWith('modr_'), by, results.length]).toEqual([true, done.fine_tuned_model, 2]);
    for (const { categories, category_scores } of results) {
      const scores = category_scores as unknown as Record<string, number>;
      expect(scores.spam! + scores.ham!).toBeCloseTo(1, 5);
      expect(Object.values(categories).filter(Boolean)).toHaveLength(1);
    }
    const listed: OpenAI.Model[] = [];
    for await (const model of client.models.list()) listed.push(model);
    expect(listed).toContainEqual(
      expect.objectContaining({
        id: 'tiny-bert',
        object: 'model',
        created: expect.any(Number),
        owned_by: 'weft',
      }),
    );
    expect(listed).toContainEqual(
      expect.objectContaining({ id: done.fine_tuned_model, object: 'model', owned_by: done.organization_id }),
    );
    const model = await client.models.retrieve(done.fine_tuned_model!);
    expect(listed).toContainEqual(model);
    expect((await client.models.retrieve('tiny-bert')).id).toBe('tiny-bert');
    expect(await client.models.delete(model.id)).toEqual({ id: model.id, object: 'model', deleted: true });
    expect(await refusal(client.models.retrieve(model.id))).toBeInstanceOf(
      Client === OpenAI ? NotFoundError : Error,
    );
  });

  it('cancels a job once, and sends no request twice that stays refused', async () => {
    const long = await client.fineTuning.jobs.create({
      model: 'tiny-bert',
      training_file: file.id,
      suffix: `long-${major}`,
      hyperparameters: { n_epochs: 100, batch_size: 1 },
    });
    expect((await client.fineTuning.jobs.cancel(long.id)).status).toBe('cancelled');
    const tries: [number, () => Promise<unknown>][] = [
      [409, () => client.fineTuning.jobs.cancel(long.id)],
      [405, () => client.patch('/fine_tuning/jobs')],
      [413, () => client.post('/classify', { body: { model: 'x', input: 'x'.repeat(2 ** 20) } })],
    ];
    for (const [status, request] of tries) {
      sent = 0;
      const error = await refusal(request());
      expect([error.status, sent]).toEqual([status, 1]);
      expect(error.headers?.get('x-should-retry')).toBe('false');
    }
    expect((await refusal(client.patch('/fine_tuning/jobs'))).message).toMatch(
      /takes POST, GET, HEAD, not PATCH/,
    );
  });

  it('hears at which field a job is refused', async () => {
    const good = { model: 'tiny-bert', training_file: file.id };
    const wrong: [object, number, string][] = [
      [{ model: 'gpt-4o-mini' }, 404, 'model'],
      [{ training_file: 'file_none' }, 404, 'training_file'],
      [{ suffix: 'No Name' }, 422, 'suffix'],
      [{ method: { type: 'dpo' } }, 422, 'method.type'],
      [{ hyperparameters: { n_epochs: 0 } }, 422, 'hyperparameters.n_epochs'],
      [{ integrations: [{ type: 'wandb', wandb: { project: 'p' } }] }, 422, 'integrations'],
    ];
    for (const [part, status, param] of wrong) {
      const error = await refusal(client.fineTuning.jobs.create({ ...good, ...part } as typeof good));
      expect([error.status, error.param]).toEqual([status, param]);
    }
  });
});
