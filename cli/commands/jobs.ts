import { listOf } from '../../shared/api/common.ts';
import { type Job, job } from '../../shared/api/jobs.ts';
import type { Client } from '../client.ts';
import { followJob, getJob } from '../follow.ts';
import { afterOption, ago, limitOption, printPage } from '../listing.ts';
import { Session } from '../session.ts';
import { duration } from '../terminal/progress.ts';
import { fields } from '../terminal/tables.ts';
import { jobArgument, noun, REMOTE, verb } from '../verb.ts';
import type { World } from '../world.ts';

export const jobs = (world: World) =>
  noun('jobs', 'Training jobs', [
    list(world),
    show(world),
    follow(world),
    change(world, 'cancel', 'Cancel a job, and with it its training'),
  ]);

const list = (world: World) =>
  verb('list', 'List jobs, newest first', REMOTE)
    .addOption(limitOption())
    .addOption(afterOption())
    .action(async ({ limit, after }, command) => {
      const session = new Session(world, command);
      await printPage<Job>(session, await session.client(), listOf(job), {
        path: '/v1/fine_tuning/jobs',
        query: { limit: String(limit), after },
        head: ['job', 'adapter', 'status', 'progress', 'created'],
        row: (item) => [item.id, item.adapter, item.status, progressOf(item), ago(item.created_at)],
        none: 'There are no jobs.',
      });
      session.out.next('weft jobs follow ID');
    });

const show = (world: World) =>
  verb('show', 'Show a job', REMOTE)
    .addArgument(jobArgument())
    .action(async (id, _options, command) => {
      const session = new Session(world, command);
      const { raw, value } = await getJob(await session.client(), id);
      session.out.result(raw, () => jobTable(value));
      if (value.status === 'succeeded') session.out.next(`weft adapters show ${value.adapter}`);
      else if (value.finished_at === null) session.out.next(`weft jobs follow ${id}`);
    });

const follow = (world: World) =>
  verb('follow', 'Follow a job to its end; Ctrl-C ends the following, never the job', REMOTE)
    .addArgument(jobArgument())
    .action(async (id, _options, command) => {
      const session = new Session(world, command);
      await followJob(session, await session.client(), id);
    });

/** A command that changes a job's state. */
const change = (world: World, action: 'cancel', summary: string) =>
  verb(action, summary, REMOTE)
    .addArgument(jobArgument())
    .action(async (id, _options, command) => {
      const session = new Session(world, command);
      const { raw, value } = await changeJob(await session.client(), id, action);
      session.out.result(raw, () => `${value.id} (${value.adapter}) is ${value.status}`);
    });

function changeJob(client: Client, id: string, action: string) {
  return client.call(job, { method: 'POST', path: `/v1/fine_tuning/jobs/${id}/${action}` });
}

function progressOf({ progress, position }: Job): string {
  if (progress) return `${progress.step}/${progress.steps}`;
  return position === null ? '–' : `number ${position} in the queue`;
}

function jobTable(shown: Job): string {
  const { progress, error } = shown;
  return fields([
    ['job', shown.id],
    ['adapter', shown.adapter],
    ['status', shown.status],
    ['base model', shown.model],
    ['training file', shown.training_file],
    ['validation file', shown.validation_file],
    ['progress', progressOf(shown)],
    ['loss', progress?.loss?.toFixed(4)],
    ['time left', progress?.eta_seconds == null ? null : duration(progress.eta_seconds)],
    ['tokens trained on', shown.trained_tokens?.toString()],
    ['attempt', String(shown.attempt)],
    ['created', ago(shown.created_at)],
    ['ended', shown.finished_at === null ? null : ago(shown.finished_at)],
    ['error', error && `${error.code}: ${error.message}`],
  ]);
}
