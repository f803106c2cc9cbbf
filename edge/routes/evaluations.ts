import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { listOf } from '../../shared/api/common.ts';
import {
  createEvaluation as createRequest,
  evaluation,
  evaluationDeleted,
  listEvaluationsQuery,
} from '../../shared/api/evaluations.ts';
import { AppError } from '../../shared/errors.ts';
import { unixNow } from '../clock.ts';
import type { Db } from '../db/client.ts';
import { cancelTask, deleteTask, findTask, pageOfTasks, type TaskRow } from '../db/tasks.ts';
import { createEvaluation } from '../evaluations/create-evaluation.ts';
import { viewEvaluation, wholeEvaluation } from '../evaluations/view-evaluation.ts';
import type { AppEnv } from '../http/app-env.ts';
import { toPage } from '../http/pages.ts';
import { json, jsonRequest, named } from '../http/responses.ts';
import { idempotent } from '../middleware/idempotency.ts';
import { jsonBody } from '../middleware/json-body.ts';
import { deleteObjects } from '../objects/delete-objects.ts';

const MAX_BODY_BYTES = 4096;

const Evaluation = named('Evaluation', evaluation);
const params = z.object({ id: z.string() });
const one = { 200: json('The evaluation', Evaluation) };

const create = createRoute({
  operationId: 'createEvaluation',
  method: 'post',
  path: '/v1/evaluations',
  summary: 'Evaluate an adapter, or compare several, on a labelled file',
  middleware: [...jsonBody(MAX_BODY_BYTES), idempotent],
  request: { body: jsonRequest(named('CreateEvaluation', createRequest)) },
  responses: { 202: json('Queued', Evaluation) },
});

const list = createRoute({
  operationId: 'listEvaluations',
  method: 'get',
  path: '/v1/evaluations',
  summary: 'List evaluations, without their results',
  request: { query: listEvaluationsQuery },
  responses: { 200: json('A page', named('EvaluationList', listOf(Evaluation))) },
});

const get = createRoute({
  operationId: 'getEvaluation',
  method: 'get',
  path: '/v1/evaluations/{id}',
  summary: 'Get an evaluation with its results',
  request: { params },
  responses: one,
});

const cancel = createRoute({
  operationId: 'cancelEvaluation',
  method: 'post',
  path: '/v1/evaluations/{id}/cancel',
  summary: 'Cancel an evaluation',
  request: { params },
  responses: one,
});

const remove = createRoute({
  operationId: 'deleteEvaluation',
  method: 'delete',
  path: '/v1/evaluations/{id}',
  summary: 'Delete an evaluation; one that runs is cancelled',
  request: { params },
  responses: { 200: json('Deleted', named('EvaluationDeleted', evaluationDeleted)) },
});

export const evaluations = new OpenAPIHono<AppEnv>()
  .openapi(create, async (c) => {
    const [db, tenant] = [c.get('db'), c.get('tenant')];
    const id = await createEvaluation(db, tenant, c.req.valid('json'));
    c.header('location', `/v1/evaluations/${id}`);
    return c.json(viewEvaluation(await readEvaluation(db, tenant, id)), 202);
  })
  .openapi(list, async (c) => {
    const paging = c.req.valid('query');
    const rows = await pageOfTasks(c.get('db'), c.get('tenant'), 'evaluation', paging);
    if (!rows) throw unknownEvaluation(paging.after!, 'after');
    return c.json(
      toPage(rows, paging.limit, viewEvaluation, ({ id }) => id),
      200,
    );
  })
  .openapi(get, async (c) => {
    const row = await readEvaluation(c.get('db'), c.get('tenant'), c.req.valid('param').id);
    return c.json(await wholeEvaluation(c.env, row), 200);
  })
  .openapi(cancel, async (c) => {
    const { id } = c.req.valid('param');
    const [db, tenant] = [c.get('db'), c.get('tenant')];
    await readEvaluation(db, tenant, id);
    const cancelled = await cancelTask(db, tenant, id, unixNow());
    const row = await readEvaluation(db, tenant, id);
    if (!cancelled) {
      throw new AppError('job_finished', `Evaluation ${id} has ended already: it is ${row.status}.`);
    }
    return c.json(viewEvaluation(row), 200);
  })
  .openapi(remove, async (c) => {
    const { id } = c.req.valid('param');
    const [db, tenant] = [c.get('db'), c.get('tenant')];
    const { resultKey } = await readEvaluation(db, tenant, id);
    if (!(await deleteTask(db, tenant, id, unixNow()))) throw unknownEvaluation(id);
    if (resultKey !== null) await deleteObjects(c.env, db, [resultKey]);
    return c.json({ id, object: 'evaluation' as const, deleted: true as const }, 200);
  });

async function readEvaluation(db: Db, tenant: string, id: string): Promise<TaskRow> {
  const row = await findTask(db, tenant, 'evaluation', id);
  if (!row) throw unknownEvaluation(id);
  return row;
}

function unknownEvaluation(id: string, param?: string): AppError {
  const at = param === undefined ? {} : { param };
  return new AppError('evaluation_not_found', `There is no evaluation ${id}.`, at);
}
