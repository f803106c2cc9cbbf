/** Walks through the main job on real data: train two adapters, classify a mixed batch, list, delete. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProgressDisplay } from '../cli/terminal/progress.ts';
import { metricsTables, painter, table } from '../cli/terminal/tables.ts';
import type { Adapter } from '../shared/api/adapters.ts';
import { parseAdapterRef } from '../shared/api/common.ts';
import type { File } from '../shared/api/datasets.ts';
import type { ClassifyResponse } from '../shared/api/inference.ts';
import type { Job } from '../shared/api/jobs.ts';
import { isFinished } from '../shared/job-state.ts';
import { homeFolder } from './home.ts';
import { startPlatform } from './platform.ts';
import { QuickstartClient } from './quickstart/client.ts';
import { quickstartTasks, type Row, type Task } from './quickstart/data.ts';

const POLL_MS = 500;

/** Shows progress, and what the platform says meanwhile above it. */
const display = new ProgressDisplay(process.stdout);

const jsonl = (rows: readonly Row[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

async function upload(
  client: QuickstartClient,
  folder: string,
  name: string,
  rows: readonly Row[],
): Promise<File> {
  const path = join(folder, `${name}.jsonl`);
  const content = jsonl(rows);
  await writeFile(path, content);
  const step = { method: 'POST', path: '/v1/files', upload: { path: relative('.', path), content } } as const;
  const file = await client.show<File>(step, 201);
  console.log(`  → ${file.id}: ${file.examples} examples, ${JSON.stringify(file.labels)}\n`);
  return file;
}

async function submit(client: QuickstartClient, folder: string, task: Task): Promise<Adapter> {
  console.log(`\n${task.name}: ${task.about}`);
  const training = await upload(client, folder, `${task.name}-train`, task.train);
  const heldOut = await upload(client, folder, `${task.name}-held-out`, task.heldOut);
  const json = {
    name: task.name,
    training_file: training.id,
    validation_file: heldOut.id,
    hyperparameters: { max_length: 64, epochs: 3 },
  };
  const adapter = await client.show<Adapter>({ method: 'POST', path: '/v1/adapters', json }, 202);
  console.log(`  → ${adapter.id} is ${adapter.status}, job ${adapter.job_id}`);
  return adapter;
}

/** Cancels jobs that an interrupted run left in the queue: they would be trained before this run's. */
async function cancelLeftOvers(client: QuickstartClient, tasks: readonly Task[]): Promise<void> {
  const { data } = await client.send<{ data: Job[] }>({ method: 'GET', path: '/v1/fine_tuning/jobs' }, 200);
  for (const job of data) {
    const { name } = parseAdapterRef(job.adapter);
    if (isFinished(job.status) || !tasks.some((task) => task.name === name)) continue;
    await client.send({ method: 'POST', path: `/v1/fine_tuning/jobs/${job.id}/cancel` }, 200);
    console.log(`cancelled the training of ${job.adapter}, which an interrupted run had left`);
  }
}

async function watch(client: QuickstartClient, queued: Adapter, signal: AbortSignal): Promise<Adapter> {
  const path = `/v1/fine_tuning/jobs/${queued.job_id}`;
  console.log(`\nTraining ${queued.id}`);
  console.log(`  $ ${client.curl({ method: 'GET', path })}`);
  for (;;) {
    const job = await client.send<Job>({ method: 'GET', path }, 200);
    if (job.progress) display.update(queued.id, job.progress);
    if (isFinished(job.status)) {
      display.end();
      if (job.status !== 'succeeded')
        throw new Error(`${queued.id} ${job.status}: ${job.error?.message ?? ''}`);
      break;
    }
    await sleep(POLL_MS, undefined, { signal });
  }
  const adapter = await client.send<Adapter>({ method: 'GET', path: `/v1/adapters/${queued.id}` }, 200);
  console.log(`  → ready, ${Math.round(adapter.size_bytes! / 1024)} KiB\n`);
  console.log(metricsTables(adapter.labels!, adapter.metrics!.validation, painter(process.stdout)));
  return adapter;
}

async function classify(
  client: QuickstartClient,
  tasks: readonly [Task, Task],
  ids: [string, string],
): Promise<void> {
  console.log('\nOne request, two adapters, one batch: held-out texts');
  const picks = tasks.flatMap((task, i) => task.heldOut.slice(0, 3).map((row) => ({ row, model: ids[i]! })));
  const input = picks.map(({ row, model }) => ({ model, text: row.text.slice(0, 90) }));
  const answer = await client.show<ClassifyResponse>(
    { method: 'POST', path: '/v1/classify', json: { input } },
    200,
  );
  const rows = answer.data.map(({ model, label, score }, i) => [
    `${input[i]!.text.slice(0, 56)}…`,
    model,
    label,
    score.toFixed(3),
    picks[i]!.row.label,
  ]);
  console.log(`\n${table([['text', 'adapter', 'label', 'score', 'truth'], ...rows])}`);
}

async function listAndDelete(client: QuickstartClient, doomed: string): Promise<void> {
  console.log('\nThe adapters');
  const list = await client.show<{ data: Adapter[] }>({ method: 'GET', path: '/v1/adapters' }, 200);
  const rows = list.data.map(({ id, status, metrics }) => [
    id,
    status,
    metrics?.validation.f1.toFixed(3) ?? '–',
  ]);
  console.log(`${table([['id', 'status', 'F1'], ...rows])}\n\nDelete ${doomed}`);
  await client.show({ method: 'DELETE', path: `/v1/adapters/${doomed}` }, 200);
  await client.show({ method: 'GET', path: `/v1/adapters/${doomed}` }, 404);
  const json = { model: doomed, input: 'is it still there?' };
  await client.show({ method: 'POST', path: '/v1/classify', json }, 404);
  console.log('  → 404: it is gone');
}

async function run(signal: AbortSignal): Promise<void> {
  const began = performance.now();
  await using platform = await startPlatform({ log: (line) => display.print(line), signal });
  const folder = join(platform.home, 'quickstart');
  await mkdir(folder, { recursive: true });
  const client = new QuickstartClient(platform.url, platform.key);
  const tasks = quickstartTasks();
  await cancelLeftOvers(client, tasks);
  const ids: string[] = [];
  const queued = [await submit(client, folder, tasks[0]), await submit(client, folder, tasks[1])];
  for (const adapter of queued) ids.push((await watch(client, adapter, signal)).id);
  await classify(client, tasks, [ids[0]!, ids[1]!]);
  await listAndDelete(client, ids[1]!);
  const seconds = Math.round((performance.now() - began) / 1000);
  console.log(`\nDone in ${seconds} s. ${ids[0]} stays: \`npm start\`, then classify with it.`);
}

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort());
try {
  await run(stop.signal);
} catch (error) {
  if (stop.signal.aborted)
    console.error(`\nStopped. Files and adapters that were ready are kept under ${homeFolder()}.`);
  else console.error(`\nThe quickstart stopped: ${error instanceof Error ? error.message : error}`);
  process.exitCode = stop.signal.aborted ? 130 : 1;
}
