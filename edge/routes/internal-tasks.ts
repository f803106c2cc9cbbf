import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { LEASE_TOKEN_HEADER } from '../../shared/api/nodes.ts';
import {
  completeTask as completeRequest,
  failTask,
  MAX_PART_BYTES,
  MAX_PART_ROWS,
  MAX_PARTS,
  MAX_RESULT_BYTES,
  PART_ROWS_HEADER,
} from '../../shared/api/tasks.ts';
import { AppError } from '../../shared/errors.ts';
import { unixNow } from '../clock.ts';
import type { Db } from '../db/client.ts';
import { completeTask, failTaskAttempt, findAnyTask, findPart, keepPart, type TaskRow } from '../db/tasks.ts';
import type { AppEnv } from '../http/app-env.ts';
import { json, jsonRequest } from '../http/responses.ts';
import { jsonBody } from '../middleware/json-body.ts';
import { partKey, resultKey } from '../objects/object-keys.ts';
import { putStream, serveObject } from '../objects/storage.ts';
import { boundedBody } from '../upload/request-bytes.ts';

const params = z.object({ id: z.string() });
const token = z.object({ [LEASE_TOKEN_HEADER]: z.string() });
const binary = { description: 'The bytes', content: { 'application/octet-stream': { schema: z.any() } } };
const status = z.object({ task_id: z.string(), status: z.string() });
const number = z.coerce.number().int().min(0).max(MAX_PARTS);

const file = createRoute({
  method: 'get',
  path: '/internal/tasks/{id}/file',
  hide: true,
  request: { params, headers: token },
  responses: { 200: binary },
});

const partUpload = createRoute({
  method: 'put',
  path: '/internal/tasks/{id}/parts/{number}',
  hide: true,
  request: {
    params: params.extend({ number }),
    headers: token.extend({ [PART_ROWS_HEADER]: z.coerce.number().int().min(1).max(MAX_PART_ROWS) }),
  },
  responses: { 204: { description: 'Kept' } },
});

const partDownload = createRoute({
  method: 'get',
  path: '/internal/tasks/{id}/parts/{number}',
  hide: true,
  request: { params: params.extend({ number }), headers: token },
  responses: { 200: binary },
});

const resultUpload = createRoute({
  method: 'put',
  path: '/internal/tasks/{id}/result',
  hide: true,
  request: { params, headers: token },
  responses: { 204: { description: 'Stored until the task is completed' } },
});

const complete = createRoute({
  method: 'post',
  path: '/internal/tasks/{id}/complete',
  hide: true,
  middleware: jsonBody(),
  request: { params, body: jsonRequest(completeRequest) },
  responses: { 200: json('The task has its result', status) },
});

const fail = createRoute({
  method: 'post',
  path: '/internal/tasks/{id}/fail',
  hide: true,
  middleware: jsonBody(),
  request: { params, body: jsonRequest(failTask) },
  responses: { 200: json('The attempt has ended', status) },
});

export const internalTasks = new OpenAPIHono<AppEnv>()
  .openapi(file, async (c) => {
    const { id } = c.req.valid('param');
    const task = await leasedTask(c.get('db'), id, c.req.valid('header')[LEASE_TOKEN_HEADER]!);
    const missing = new AppError('file_not_found', `Task ${id} has no file.`);
    return serveObject(c.env, task.fileKey, { 'content-type': 'application/jsonl' }, missing);
  })
  .openapi(partUpload, async (c) => {
    const { id, number } = c.req.valid('param');
    const db = c.get('db');
    const { [LEASE_TOKEN_HEADER]: held, [PART_ROWS_HEADER]: rows } = c.req.valid('header');
    const task = await leasedTask(db, id, held);
    const key = partKey(id, task.attempt, number);
    // The answer to an earlier upload was lost.
    if (number < task.parts && (await findPart(db, id, number)) === key) return c.body(null, 204);
    if (number !== task.parts) throw leaseLost(id);
    await putStream(c.env, db, key, boundedBody(c.req.raw, MAX_PART_BYTES, 'a part'));
    const part = { number, key, rows };
    if (!(await keepPart(db, { id, token: held }, part))) throw leaseLost(id);
    return c.body(null, 204);
  })
  .openapi(partDownload, async (c) => {
    const { id, number } = c.req.valid('param');
    const db = c.get('db');
    await leasedTask(db, id, c.req.valid('header')[LEASE_TOKEN_HEADER]!);
    const missing = new AppError('file_not_found', `Task ${id} has no part ${number}.`);
    const key = await findPart(db, id, number);
    if (key === undefined) throw missing;
    return serveObject(c.env, key, { 'content-type': 'application/octet-stream' }, missing);
  })
  .openapi(resultUpload, async (c) => {
    const { id } = c.req.valid('param');
    const db = c.get('db');
    const task = await leasedTask(db, id, c.req.valid('header')[LEASE_TOKEN_HEADER]!);
    const chunks = boundedBody(c.req.raw, MAX_RESULT_BYTES, 'a result');
    await putStream(c.env, db, resultKey(id, task.attempt), chunks);
    return c.body(null, 204);
  })
  .openapi(complete, async (c) => {
    const { id } = c.req.valid('param');
    const { token: held, rows } = c.req.valid('json');
    const db = c.get('db');
    const task = await heldTask(db, id, held);
    if (task.status === 'succeeded') return c.json({ task_id: id, status: task.status }, 200);
    if (rows !== task.rows) {
      const message = `Task ${id} has ${task.rows} rows, and the node has done ${rows}.`;
      throw new AppError('invalid_request', message, { param: 'rows' });
    }
    const completed = await completeTask(db, id, held, resultKey(id, task.attempt), unixNow());
    if (!completed && (await heldTask(db, id, held)).status !== 'succeeded') throw leaseLost(id);
    return c.json({ task_id: id, status: 'succeeded' }, 200);
  })
  .openapi(fail, async (c) => {
    const { id } = c.req.valid('param');
    const body = c.req.valid('json');
    const db = c.get('db');
    const ended = await failTaskAttempt(db, id, body, unixNow());
    if (ended === undefined && (await heldTask(db, id, body.token)).status !== 'failed') throw leaseLost(id);
    return c.json({ task_id: id, status: ended ?? 'failed' }, 200);
  });

/** @throws {AppError} `task_not_found`, and `lease_lost` unless the task runs under this lease */
async function leasedTask(db: Db, id: string, held: string): Promise<TaskRow> {
  const task = await heldTask(db, id, held);
  if (task.status !== 'running') throw leaseLost(id);
  return task;
}

/** The task, running or not, if this is its last lease. */
async function heldTask(db: Db, id: string, held: string): Promise<TaskRow> {
  const task = await findAnyTask(db, id);
  if (!task) throw new AppError('task_not_found', `There is no task ${id}.`);
  if (task.leaseToken !== held) throw leaseLost(id);
  return task;
}

function leaseLost(id: string): AppError {
  return new AppError('lease_lost', `The lease of task ${id} is not yours any more; stop working on it.`);
}
