import { env } from 'cloudflare:workers';
import { eq } from 'drizzle-orm';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { everyMinute } from '../../edge/cron.ts';
import { jobEvents, jobs, objects } from '../../edge/db/schema.ts';
import { MAX_FILE_BYTES } from '../../shared/adapter-format.ts';
import type { JobLease } from '../../shared/api/nodes.ts';
import { MAX_LABEL_CHARS, MAX_LABELS } from '../../shared/api/rows.ts';
import { LEASE_SECONDS } from '../../shared/job-state.ts';
import { packMetrics } from '../../shared/packed-metrics.ts';
import { submit } from './support/adapters.ts';
import { type Client, callAsNode, db, makeTenant, problemOf } from './support/api.ts';
import { bundleFiles, completion, finish, RESOLVED, TestNode, uploadBundle } from './support/nodes.ts';

let client: Client;
let node: TestNode;

beforeAll(async () => {
  client = await makeTenant();
});

/** A base model of its own keeps each test's queue apart. */
beforeEach(async () => {
  node = await new TestNode().register();
});

async function queue(name: string): Promise<string> {
  const id = await submit(client, name, { base_model: node.baseModel });
  return (await client.call(`/v1/adapters/${id}`)).body.job_id;
}

async function leaseOf(name: string): Promise<JobLease> {
  await queue(name);
  return (await node.lease())!;
}

/** Lets a lease lapse as time would. */
async function lapse(jobId: string): Promise<void> {
  await db.update(jobs).set({ leaseUntil: 1 }).where(eq(jobs.id, jobId));
}

async function statusOf(jobId: string) {
  return (await client.call(`/v1/fine_tuning/jobs/${jobId}`)).body;
}

const running = ({ job_id, token }: JobLease) => ({ job_id, token, progress: null });
const complete = (jobId: string, json: object) => callAsNode(`/internal/jobs/${jobId}/complete`, { json });
const fail = (jobId: string, json: object) => callAsNode(`/internal/jobs/${jobId}/fail`, { json });
const failure = (token: string, retryable: boolean, code = 'training_failed') => ({
  token,
  retryable,
  error: { code, message: 'it went wrong' },
});

describe('leasing', () => {
  it('gives five jobs to eight nodes at once, each to one, the oldest first', async () => {
    const queued: string[] = [];
    for (let i = 0; i < 5; i++) queued.push(await queue('rush'));
    const nodes = await Promise.all(Array.from({ length: 8 }, () => new TestNode(node.baseModel).register()));
    const leases = await Promise.all(nodes.map((each) => each.lease()));
    const taken = leases.flatMap((lease) => (lease ? [lease.job_id] : []));
    expect(taken.sort()).toEqual(queued.sort());
    expect(new Set(leases.flatMap((lease) => (lease ? [lease.token] : []))).size).toBe(5);
  });

  it('takes the oldest first', async () => {
    const queued = [await queue('first'), await queue('second')];
    expect((await node.lease())!.job_id).toBe(queued[0]);
    expect((await new TestNode(node.baseModel).register().then((other) => other.lease()))!.job_id).toBe(
      queued[1],
    );
  });

  it('gives a job only to a node that has its base model', async () => {
    await queue('elsewhere');
    const other = await new TestNode().register();
    expect(await other.lease()).toBeNull();
    expect(await node.lease()).not.toBeNull();
  });

  it('gives a job only to a node that has its base model in the precision asked for', async () => {
    const method = { type: 'qlora' };
    const able = await new TestNode(node.baseModel).register(['fp32', 'nf4']);
    await submit(client, 'quantized', { base_model: node.baseModel, method });
    expect(await node.lease()).toBeNull();
    expect((await able.lease())!.method).toMatchObject({ type: 'lora', base_precision: 'nf4' });
  });

  it('gives a later attempt only to a node that has what an earlier one made of "auto"', async () => {
    const able = await new TestNode(node.baseModel).register(['fp32', 'int8']);
    await queue('settled');
    const lease = (await able.lease())!;
    const resolved = { ...RESOLVED, method: { ...RESOLVED.method, base_precision: 'int8' } };
    await able.beat([{ ...running(lease), resolved }]);
    await fail(lease.job_id, failure(lease.token, true));
    expect(await node.lease()).toBeNull();
    expect((await able.lease())!.resolved).toEqual(resolved);
  });

  it('hands over what was asked for', async () => {
    const id = await submit(client, 'asked', {
      base_model: node.baseModel,
      method: { type: 'lora', r: 4 },
      hyperparameters: { epochs: 2 },
      validation_split: 0.25,
      effort: 'thorough',
      metric: 'f1_macro',
      seed: 7,
    });
    expect(await node.lease()).toMatchObject({
      adapter: id,
      attempt: 1,
      base_model: node.baseModel,
      method: { type: 'lora', r: 4, alpha: 'auto' },
      hyperparameters: { epochs: 2, batch_size: 'auto' },
      resolved: null,
      validation_split: 0.25,
      has_validation_file: false,
      aims: { effort: 'thorough', metric: 'f1_macro' },
      seed: 7,
      lease_seconds: LEASE_SECONDS,
    });
  });

  it('shows the job running with its progress, and the adapter training', async () => {
    const lease = await leaseOf('shown');
    const progress = { step: 3, steps: 10, epoch: 0.5, loss: 0.7, tokens_per_second: 900, eta_seconds: 4 };
    const events = [{ level: 'info', message: 'epoch 1', type: 'metrics', data: { loss: 0.7 } }];
    const { jobs: states } = await node.beat([{ ...running(lease), progress, events }]);
    expect(states).toEqual([{ job_id: lease.job_id, state: 'ok' }]);
    const job = await statusOf(lease.job_id);
    expect(job).toMatchObject({
      status: 'running',
      progress,
      attempt: 1,
      adapter: 'shown@1',
      fine_tuned_model: null,
    });
    expect((await client.call('/v1/adapters/shown')).body.status).toBe('training');
    const noted = await db
      .select()
      .from(jobEvents)
      .where(eq(jobEvents.jobId, lease.job_id))
      .orderBy(jobEvents.number);
    expect(noted.map((event) => event.message)).toEqual([
      'The job is queued.',
      'A node has taken the job.',
      'epoch 1',
    ]);
    expect(noted[2]).toMatchObject({ type: 'metrics', data: { loss: 0.7 } });
  });

  it('answers 404 to a node it does not know, and 401 without the secret', async () => {
    const json = { jobs: [], wants_job: true, deletions_after: 0 };
    const answer = await callAsNode('/internal/nodes/node_unknown/heartbeat', { json });
    expect(problemOf(answer)).toMatchObject({ status: 404, code: 'node_not_found' });
    expect((await client.call(`/internal/nodes/${node.id}/heartbeat`, { json })).status).toBe(401);
  });
});

describe('a lapsed lease', () => {
  it('goes to whoever leases next, without the cron', async () => {
    const first = await leaseOf('lapsing');
    await lapse(first.job_id);
    const other = await new TestNode(node.baseModel).register();
    const second = (await other.lease())!;
    expect(second).toMatchObject({ job_id: first.job_id, attempt: 2 });
    expect(second.token).not.toBe(first.token);
    expect((await node.beat([running(first)])).jobs[0]!.state).toBe('lost');
  });

  it('goes back to the queue by the cron', async () => {
    const lease = await leaseOf('reaped');
    await lapse(lease.job_id);
    await everyMinute(env);
    expect(await statusOf(lease.job_id)).toMatchObject({ status: 'queued', progress: null });
  });

  it('fails the job after three attempts, with the reason', async () => {
    const { job_id } = await leaseOf('doomed');
    for (const attempt of [2, 3]) {
      await lapse(job_id);
      const other = await new TestNode(node.baseModel).register();
      expect((await other.lease())!.attempt).toBe(attempt);
    }
    await lapse(job_id);
    expect(await node.lease()).toBeNull();
    expect(await statusOf(job_id)).toMatchObject({ status: 'failed', error: { code: 'lease_lapsed' } });
    const { body } = await client.call('/v1/adapters/doomed');
    expect(body).toMatchObject({ status: 'failed', error: { code: 'lease_lapsed' } });
  });

  it('is found at once where the node comes back without its job', async () => {
    const first = await leaseOf('restarted');
    const second = (await node.lease())!;
    expect(second).toMatchObject({ job_id: first.job_id, attempt: 2 });
  });

  it('stays while the node is busy with it', async () => {
    const first = await leaseOf('busy');
    expect((await node.beat([running(first)], false)).jobs[0]!.state).toBe('ok');
    expect((await node.beat([], false)).lease).toBeNull();
    expect((await statusOf(first.job_id)).status).toBe('running');
  });

  it('keeps what "auto" came to at the first attempt', async () => {
    const first = await leaseOf('auto');
    await node.beat([{ ...running(first), resolved: RESOLVED }]);
    await lapse(first.job_id);
    const second = (await node.lease())!;
    expect(second.resolved).toEqual(RESOLVED);
    const other = { ...RESOLVED, method: { ...RESOLVED.method, r: 16 } };
    await node.beat([{ ...running(second), resolved: other }]);
    const { body } = await client.call('/v1/adapters/auto');
    expect(body).toMatchObject({
      method: { r: 8 },
      hyperparameters: { epochs: 3 },
      labels: ['ham', 'spam'],
      trained_parameters: RESOLVED.trained_parameters,
    });
  });
});

describe('completing', () => {
  it('registers the adapter and finishes the job, and again on repetition', async () => {
    const lease = await leaseOf('done');
    const manifest = await uploadBundle(lease);
    const json = completion(lease, manifest);
    expect((await complete(lease.job_id, json)).status).toBe(200);
    expect((await complete(lease.job_id, json)).status).toBe(200);
    expect(await statusOf(lease.job_id)).toMatchObject({
      status: 'succeeded',
      fine_tuned_model: 'done@1',
      trained_tokens: 1234,
      error: null,
    });
    const weights = manifest.find((entry) => entry.name === 'adapter_model.safetensors')!;
    expect((await client.call('/v1/adapters/done')).body).toMatchObject({
      status: 'ready',
      labels: RESOLVED.labels,
      size_bytes: weights.bytes,
      trained_parameters: RESOLVED.trained_parameters,
      sha256: weights.sha256,
      metrics: null,
    });
    const prefix = `adapters/${lease.job_id}/1/`;
    const kept = await db
      .select()
      .from(objects)
      .where(eq(objects.key, `${prefix}weft.json`));
    expect(kept[0]!.expiresAt).toBeNull();
  });

  it('refuses a stale token and changes nothing', async () => {
    const stale = await leaseOf('stale');
    const manifest = await uploadBundle(stale);
    await lapse(stale.job_id);
    const held = (await node.lease())!;
    const answer = await complete(stale.job_id, completion(stale, manifest));
    expect(problemOf(answer)).toMatchObject({ status: 409, code: 'lease_lost' });
    expect(problemOf(await fail(stale.job_id, failure(stale.token, false)))).toMatchObject({
      code: 'lease_lost',
    });
    expect(await statusOf(stale.job_id)).toMatchObject({ status: 'running', attempt: 2 });
    await finish(held);
    expect((await client.call('/v1/adapters/stale')).body.status).toBe('ready');
  });

  it('refuses an adapter that no node would load, which then fails its job', async () => {
    const lease = await leaseOf('unfit');
    const files = bundleFiles(lease);
    const weights = files['adapter_model.safetensors'].slice();
    new DataView(weights.buffer).setFloat32(weights.byteLength - 4, Number.NaN, true);
    const weft = JSON.parse(new TextDecoder().decode(files['weft.json']));
    const withLabels = (labels: string[]) => new TextEncoder().encode(JSON.stringify({ ...weft, labels }));
    for (const [changes, why] of [
      [
        { 'adapter_model.safetensors': weights },
        'unfit@1: adapter_model.safetensors: base_model.model.classifier.weight [2,384] holds NaN',
      ],
      [{ 'adapter_config.json': new TextEncoder().encode('{}') }, 'adapter_config.json: peft_type'],
      [{ 'weft.json': new TextEncoder().encode('{}') }, 'weft.json: format'],
      [{ 'weft.json': withLabels(['a', 'b', 'c']) }, '3 labels are given'],
      [{ 'weft.json': withLabels(['spam', 'ham']) }, 'weft.json: labels is not what it was trained with'],
    ] as const) {
      const manifest = await uploadBundle(lease, undefined, undefined, { ...files, ...changes });
      const answer = await complete(lease.job_id, completion(lease, manifest));
      expect(problemOf(answer)).toMatchObject({ status: 422, code: 'invalid_adapter' });
      expect(answer.body.detail).toContain(why);
    }
    expect((await client.call('/v1/adapters/unfit')).body.status).toBe('training');
    await finish(lease);
    expect((await client.call('/v1/adapters/unfit')).body.status).toBe('ready');
  });

  it('registers as many labels as there may be, shows them whole, and abridged in a list', async () => {
    const lease = await leaseOf('many');
    const labels = Array.from({ length: MAX_LABELS }, (_, i) => String(i).padStart(MAX_LABEL_CHARS, 'x'));
    const resolved = {
      ...RESOLVED,
      hyperparameters: {
        ...RESOLVED.hyperparameters,
        class_weights: Object.fromEntries(labels.map((label) => [label, 1 / 3])),
      },
      labels,
    };
    await node.beat([{ job_id: lease.job_id, token: lease.token, progress: null, resolved }]);
    // Counts that leave no two zeros beside each other, so that they are as long as they get.
    const confusion_matrix = labels.map((_, i) => labels.map((_label, j) => ((i + j) % 2) * 21));
    const one = { precision: 1 / 3, recall: 1 / 3, f1: 1 / 3, support: 12_345_678 };
    const per_label = Object.fromEntries(labels.map((label) => [label, one]));
    const rates = { loss: 1, ece: 1, accuracy: 1, precision: 1, recall: 1, f1: 1, f1_macro: 1 };
    const validation = { examples: 10_500_000, ...rates, per_label, confusion_matrix };
    const files = bundleFiles(lease, resolved);
    const weft = {
      ...JSON.parse(new TextDecoder().decode(files['weft.json'])),
      metrics: packMetrics(validation),
    };
    const encoded = new TextEncoder().encode(JSON.stringify(weft));
    expect(encoded.byteLength).toBeLessThan(MAX_FILE_BYTES['weft.json']);
    const manifest = await uploadBundle(lease, undefined, resolved, { ...files, 'weft.json': encoded });
    const json = { ...completion(lease, manifest), resolved, metrics: { validation } };
    expect((await complete(lease.job_id, json)).status).toBe(200);
    const { body } = await client.call('/v1/adapters/many');
    expect(body).toMatchObject({ labels, hyperparameters: resolved.hyperparameters });
    expect(body.metrics).toEqual({ validation });
    const list = await client.call('/v1/adapters?name=many');
    expect(list.body.data[0]).toMatchObject({
      id: 'many@1',
      abridged: true,
      labels: null,
      trained_parameters: RESOLVED.trained_parameters,
      metrics: { validation: { f1: 1, per_label: {}, confusion_matrix: [] } },
    });
    expect(JSON.stringify(list.body).length).toBeLessThan(4096);
    const jobs = await client.call('/v1/fine_tuning/jobs?limit=1');
    expect(JSON.stringify(jobs.body).length).toBeLessThan(4096);
  });

  it('refuses files that are not there, or not those of the manifest', async () => {
    const lease = await leaseOf('short');
    const manifest = await uploadBundle(lease);
    const missing = await db
      .delete(objects)
      .where(eq(objects.key, `adapters/${lease.job_id}/1/weft.json`))
      .returning();
    const answer = await complete(lease.job_id, completion(lease, manifest));
    expect(problemOf(answer)).toEqual({ status: 422, code: 'invalid_adapter', param: 'manifest' });
    expect(answer.body.detail).toContain('weft.json');
    await db.insert(objects).values(missing);
    const wrong = manifest.map((entry) => ({ ...entry, bytes: entry.bytes + 1 }));
    expect((await complete(lease.job_id, completion(lease, wrong))).status).toBe(422);
    const doubled = [manifest[0]!, manifest[0]!, manifest[1]!];
    expect((await complete(lease.job_id, completion(lease, doubled))).status).toBe(422);
    expect((await statusOf(lease.job_id)).status).toBe('running');
    expect((await complete(lease.job_id, completion(lease, manifest))).status).toBe(200);
  });

  it('lets one of two completions at once win, and answers both', async () => {
    const lease = await leaseOf('twice');
    const json = completion(lease, await uploadBundle(lease));
    const answers = await Promise.all([complete(lease.job_id, json), complete(lease.job_id, json)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
  });

  it('leaves the files of a lost attempt to the sweep, and keeps those of the one that won', async () => {
    const lost = await leaseOf('swept');
    await uploadBundle(lost, 'lost');
    await lapse(lost.job_id);
    await finish((await node.lease())!);
    await db
      .update(objects)
      .set({ expiresAt: 1 })
      .where(eq(objects.key, `adapters/${lost.job_id}/1/weft.json`));
    await everyMinute(env);
    expect(await env.BUCKET.head(`adapters/${lost.job_id}/1/weft.json`)).toBeNull();
    expect(await env.BUCKET.head(`adapters/${lost.job_id}/2/weft.json`)).not.toBeNull();
  });

  it('answers 404 for no job, 422 for a body that is none', async () => {
    const lease = await leaseOf('other');
    const json = completion(lease, await uploadBundle(lease));
    expect(problemOf(await complete('ftjob_none', json))).toMatchObject({
      status: 404,
      code: 'job_not_found',
    });
    const answer = await complete(lease.job_id, { ...json, manifest: [] });
    expect(problemOf(answer)).toMatchObject({ status: 422, param: 'manifest' });
  });
});

describe('failing', () => {
  it('queues the job again while attempts are left, then fails it', async () => {
    await queue('flaky');
    for (const status of ['queued', 'queued', 'failed']) {
      const lease = (await node.lease())!;
      const answer = await fail(lease.job_id, failure(lease.token, true));
      expect(answer.body.status).toBe(status);
    }
    expect((await client.call('/v1/adapters/flaky')).body).toMatchObject({
      status: 'failed',
      error: { code: 'training_failed', message: 'it went wrong' },
    });
  });

  it('fails at once what no other attempt can mend, and says so again', async () => {
    const lease = await leaseOf('hopeless');
    expect((await fail(lease.job_id, failure(lease.token, false))).body.status).toBe('failed');
    expect((await fail(lease.job_id, failure(lease.token, false))).body.status).toBe('failed');
    expect((await statusOf(lease.job_id)).finished_at).toBeGreaterThan(0);
  });

  it('counts no attempt that a node hands back because it ends', async () => {
    await queue('drained');
    for (let i = 0; i < 5; i++) {
      const lease = (await node.lease())!;
      const answer = await fail(lease.job_id, failure(lease.token, true, 'shutting_down'));
      expect(answer.body.status).toBe('queued');
    }
    expect((await node.lease())!.attempt).toBe(6);
  });
});

describe('cancelling', () => {
  it('ends a queued job, which no node gets any more', async () => {
    const jobId = await queue('unwanted');
    const answer = await client.call(`/v1/fine_tuning/jobs/${jobId}/cancel`, { method: 'POST' });
    expect(answer.body).toMatchObject({ id: jobId, status: 'cancelled' });
    expect(await node.lease()).toBeNull();
    expect((await client.call('/v1/adapters/unwanted')).body.status).toBe('cancelled');
  });

  it('tells the node that trains it, whose completion comes to nothing', async () => {
    const lease = await leaseOf('halted');
    await client.call(`/v1/fine_tuning/jobs/${lease.job_id}/cancel`, { method: 'POST' });
    expect((await node.beat([running(lease)])).jobs[0]!.state).toBe('cancelled');
    const answer = await complete(lease.job_id, completion(lease, await uploadBundle(lease)));
    expect(problemOf(answer)).toMatchObject({ status: 409, code: 'lease_lost' });
  });

  it('refuses a job that has ended, an unknown one, and that of another tenant', async () => {
    const lease = await leaseOf('ended');
    await finish(lease);
    const path = `/v1/fine_tuning/jobs/${lease.job_id}/cancel`;
    expect(problemOf(await client.call(path, { method: 'POST' }))).toMatchObject({
      status: 409,
      code: 'job_finished',
    });
    const stranger = await makeTenant();
    expect(problemOf(await stranger.call(path, { method: 'POST' }))).toMatchObject({
      status: 404,
      code: 'job_not_found',
    });
    expect((await stranger.call(`/v1/fine_tuning/jobs/${lease.job_id}`)).status).toBe(404);
    const unknown = await client.call('/v1/fine_tuning/jobs/ftjob_none/cancel', { method: 'POST' });
    expect(unknown.status).toBe(404);
  });
});

describe('GET /v1/fine_tuning/jobs', () => {
  it('pages through jobs, newest first', async () => {
    const lister = await makeTenant();
    for (const name of ['a', 'b', 'c']) await submit(lister, name, { base_model: node.baseModel });
    const first = (await lister.call('/v1/fine_tuning/jobs?limit=2')).body;
    expect(first.data.map((job: { adapter: string }) => job.adapter)).toEqual(['c@1', 'b@1']);
    const rest = (await lister.call(`/v1/fine_tuning/jobs?limit=2&after=${first.last_id}`)).body;
    expect(rest).toMatchObject({ has_more: false, data: [{ adapter: 'a@1', object: 'fine_tuning.job' }] });
    expect(problemOf(await lister.call('/v1/fine_tuning/jobs?after=ftjob_x'))).toMatchObject({
      status: 404,
      param: 'after',
    });
  });
});
