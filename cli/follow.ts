import { setTimeout as sleep } from 'node:timers/promises';
import { type Adapter, adapter } from '../shared/api/adapters.ts';
import { listOf, MAX_PAGE } from '../shared/api/common.ts';
import { type Job, type JobEvent, job, jobEvent } from '../shared/api/jobs.ts';
import { isFinished } from '../shared/job-state.ts';
import type { Answer, Client } from './client.ts';
import { Failure } from './failure.ts';
import type { Session } from './session.ts';
import { type Curves, duration, ProgressDisplay } from './terminal/progress.ts';
import { metricsTables } from './terminal/tables.ts';

const POLL_MS = 1000;
/** Values that a curve keeps. */
const MAX_CURVE = 1000;

const eventPage = listOf(jobEvent);

export function getJob(client: Client, id: string): Promise<Answer<Job>> {
  return client.call(job, { method: 'GET', path: `/v1/fine_tuning/jobs/${id}` });
}

export async function getAdapter(client: Client, ref: string): Promise<Adapter> {
  return (await client.call(adapter, { method: 'GET', path: `/v1/adapters/${ref}` })).value;
}

/**
 * Follows a job to its end: with `--json` a line for each event and the job as the last one, else events and progress on standard error and
 * the metrics at the end. Ctrl-C ends the following alone.
 * @throws {Failure} `interrupted`; the job's own error where it failed or was cancelled
 */
export async function followJob(session: Session, client: Client, id: string): Promise<void> {
  try {
    await followToEnd(session, client, id);
  } catch (error) {
    if (!session.world.signal.aborted) throw error;
    const message = `Following was interrupted; job ${id} goes on.`;
    throw new Failure('interrupted', 'interrupted', message, {
      next: [`weft jobs follow ${id}`, `weft jobs cancel ${id}`],
      cause: error,
    });
  }
}

async function followToEnd(session: Session, client: Client, id: string): Promise<void> {
  const { out, world } = session;
  const view = new FollowView(session);
  let after: string | undefined;
  for (;;) {
    // The job is asked first: events that precede its end are then all there.
    const state = await getJob(client, id);
    for await (const event of eventsAfter(client, id, after)) {
      after = event.value.id;
      out.item(event.raw);
      view.event(event.value);
    }
    view.state(state.value);
    if (isFinished(state.value.status)) {
      view.end();
      out.item(state.raw);
      return conclude(session, client, state.value);
    }
    await sleep(POLL_MS, undefined, { signal: world.signal });
  }
}

async function* eventsAfter(
  client: Client,
  id: string,
  from: string | undefined,
): AsyncGenerator<Answer<JobEvent>> {
  let after = from;
  for (;;) {
    const page = await client.call(eventPage, {
      method: 'GET',
      path: `/v1/fine_tuning/jobs/${id}/events`,
      query: { order: 'asc', limit: String(MAX_PAGE), after },
    });
    const raws = (page.raw as { data: unknown[] }).data;
    for (const [i, value] of page.value.data.entries()) yield { raw: raws[i], value };
    after = page.value.last_id ?? after;
    if (!page.value.has_more) return;
  }
}

/** What people see of a job meanwhile. */
class FollowView {
  readonly #display: ProgressDisplay;
  readonly #isShown: boolean;
  readonly #curves = { loss: [] as number[], f1: [] as number[] } satisfies Curves;
  #lastStep = -1;
  #position: number | undefined;

  constructor({ out, world }: Session) {
    this.#display = new ProgressDisplay(world.stderr);
    this.#isShown = !out.json;
  }

  event({ level, message, data }: JobEvent): void {
    const { valid_f1: f1, step, train_loss: loss, epoch } = data ?? {};
    if (typeof f1 === 'number') keep(this.#curves.f1, f1);
    if (typeof step === 'number' && typeof loss === 'number' && epoch === undefined) {
      // A step among many: the progress tells it.
      keep(this.#curves.loss, loss);
      this.#lastStep = step;
      return;
    }
    if (this.#isShown) this.#display.print(level === 'info' ? message : `${level}: ${message}`);
  }

  state({ adapter, status, position, estimated_start, progress }: Job): void {
    if (!this.#isShown) return;
    if (status === 'queued' && position !== null && position !== this.#position) {
      this.#position = position;
      const seconds = estimated_start === null ? 0 : estimated_start - Date.now() / 1000;
      const when = seconds > 1 ? `, to start in about ${duration(seconds)}` : '';
      this.#display.print(`${adapter} is number ${position} in the queue${when}`);
    }
    if (!progress) return;
    if (progress.step !== this.#lastStep && progress.loss !== null) keep(this.#curves.loss, progress.loss);
    this.#lastStep = progress.step;
    this.#display.update(adapter, progress, this.#curves);
  }

  end(): void {
    if (this.#isShown) this.#display.end();
  }
}

function keep(values: number[], value: number): void {
  values.push(value);
  if (values.length > MAX_CURVE) values.shift();
}

async function conclude(session: Session, client: Client, done: Job): Promise<void> {
  const { out } = session;
  if (done.status !== 'succeeded') {
    const code = done.error?.code ?? 'training_failed';
    const reason = done.error ? `: ${done.error.message}` : '.';
    const next = [`weft jobs show ${done.id}`];
    throw new Failure('failed', code, `Job ${done.id} ${done.status}${reason}`, { next });
  }
  if (out.json) return;
  out.item(undefined, () => `${done.adapter} is ready`);
  const { labels, metrics } = await getAdapter(client, done.adapter);
  if (labels && metrics) {
    out.item(undefined, () => `\n${metricsTables(labels, metrics.validation, out.paint)}\n`);
  }
  out.next(`weft classify ${done.adapter} 'a text'`);
}
