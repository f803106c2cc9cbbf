import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Argument } from '@commander-js/extra-typings';
import { z } from 'zod';
import { fileId, listOf } from '../../shared/api/common.ts';
import { type Evaluation, evaluation, evaluationDeleted } from '../../shared/api/evaluations.ts';
import { isFinished } from '../../shared/job-state.ts';
import type { Answer, Client } from '../client.ts';
import { columnOption, type DatasetOptions, skipInvalidOption } from '../dataset-options.ts';
import { Failure } from '../failure.ts';
import { afterOption, ago, limitOption, printPage } from '../listing.ts';
import { Session } from '../session.ts';
import { evaluationTables } from '../terminal/evaluation.ts';
import { bar } from '../terminal/progress.ts';
import { fields } from '../terminal/tables.ts';
import { uploadDataset } from '../upload.ts';
import { adapterArgument, checkedBy, noun, REMOTE, verb } from '../verb.ts';
import type { World } from '../world.ts';

const POLL_MS = 500;

const evaluationId = z.string().regex(/^eval_[A-Za-z0-9]{1,40}$/, "an evaluation's id, eval_…");
const idArgument = () => new Argument('<id>', 'an evaluation, eval_…').argParser(checkedBy(evaluationId));
const datasetArgument = () =>
  new Argument('<file>', 'a labelled dataset: a path, or the id of an uploaded file');

export const evaluate = (world: World) =>
  verb('eval', 'Evaluate an adapter on a labelled file', REMOTE)
    .addArgument(adapterArgument())
    .addArgument(datasetArgument())
    .addOption(skipInvalidOption())
    .addOption(columnOption('text'))
    .addOption(columnOption('label'))
    .action((name, file, options, command) =>
      judge(new Session(world, command), { model: name }, file, options),
    );

export const compare = (world: World) =>
  verb('compare', 'Compare two adapters on a labelled file', REMOTE)
    .addArgument(adapterArgument('a'))
    .addArgument(adapterArgument('b'))
    .addArgument(datasetArgument())
    .addOption(skipInvalidOption())
    .addOption(columnOption('text'))
    .addOption(columnOption('label'))
    .action((a, b, file, options, command) =>
      judge(new Session(world, command), { models: [a, b] }, file, options),
    );

export const evaluations = (world: World) =>
  noun('evaluations', 'What `eval` and `compare` found', [list(world), show(world), remove(world)]);

const list = (world: World) =>
  verb('list', 'List evaluations, newest first', REMOTE)
    .addOption(limitOption())
    .addOption(afterOption())
    .action(async ({ limit, after }, command) => {
      const session = new Session(world, command);
      await printPage<Evaluation>(session, await session.client(), listOf(evaluation), {
        path: '/v1/evaluations',
        query: { limit: String(limit), after },
        head: ['evaluation', 'adapters', 'file', 'status', 'rows', 'created'],
        row: (item) => [
          item.id,
          item.models.join(', '),
          item.file,
          item.status,
          `${item.rows.done}/${item.rows.total}`,
          ago(item.created_at),
        ],
        none: 'There are no evaluations.',
      });
    });

const show = (world: World) =>
  verb('show', 'Show an evaluation and its results', REMOTE)
    .addArgument(idArgument())
    .action(async (id, _options, command) => {
      const session = new Session(world, command);
      const { raw, value } = await getEvaluation(await session.client(), id);
      session.out.result(raw, () =>
        value.status === 'succeeded' ? evaluationTables(value, session.out.paint) : state(value),
      );
    });

const remove = (world: World) =>
  verb('delete', 'Delete an evaluation; one that runs is cancelled', REMOTE)
    .addArgument(idArgument())
    .action(async (id, _options, command) => {
      const session = new Session(world, command);
      await session.agree(`Delete ${id}?`);
      const client = await session.client();
      const path = `/v1/evaluations/${id}`;
      const { raw } = await client.call(evaluationDeleted, { method: 'DELETE', path });
      session.out.result(raw, () => `${id} is deleted`);
    });

/** Uploads the file, asks for the evaluation, waits for its end and prints its results. */
async function judge(
  session: Session,
  models: { model: string } | { models: readonly string[] },
  file: string,
  options: DatasetOptions,
): Promise<void> {
  const client = await session.client();
  const isUploaded = fileId.safeParse(file).success;
  const id = isUploaded ? file : (await uploadDataset(client, file, options)).id;
  const { value } = await client.call(evaluation, {
    method: 'POST',
    path: '/v1/evaluations',
    json: { ...models, file: id },
    headers: { 'idempotency-key': randomUUID() },
    isSafe: true,
  });
  session.out.note(`${value.id} is ${value.status}`);
  const ended = await waitFor(session, client, value.id);
  const { status, error } = ended.value;
  if (status !== 'succeeded') {
    const reason = error ? `: ${error.message}` : '.';
    throw new Failure('failed', error?.code ?? 'internal_error', `${value.id} ${status}${reason}`);
  }
  session.out.result(ended.raw, () => evaluationTables(ended.value, session.out.paint));
}

async function waitFor(session: Session, client: Client, id: string): Promise<Answer<Evaluation>> {
  const { signal } = session.world;
  try {
    for (;;) {
      const answer = await getEvaluation(client, id);
      const { status, rows } = answer.value;
      if (isFinished(status)) return answer;
      session.progress(`${bar(rows.done, rows.total)} ${rows.done}/${rows.total} rows`);
      await sleep(POLL_MS, undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    const message = `Waiting was interrupted; ${id} goes on.`;
    const next = [`weft evaluations show ${id}`];
    throw new Failure('interrupted', 'interrupted', message, { next, cause: error });
  } finally {
    session.progress(undefined);
  }
}

function getEvaluation(client: Client, id: string): Promise<Answer<Evaluation>> {
  return client.call(evaluation, { method: 'GET', path: `/v1/evaluations/${id}` });
}

function state({ id, status, models, rows, error }: Evaluation): string {
  return fields([
    ['evaluation', id],
    ['adapters', models.join(', ')],
    ['status', status],
    ['rows', `${rows.done} of ${rows.total}`],
    ['error', error && `${error.code}: ${error.message}`],
  ]);
}
