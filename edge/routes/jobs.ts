import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { listOf } from '../../shared/api/common.ts';
import { createJob, type Job, job, listJobsQuery } from '../../shared/api/jobs.ts';
import { AppError } from '../../shared/errors.ts';
import { submitJob } from '../adapters/create-job.ts';
import { unixNow } from '../clock.ts';
import type { Db } from '../db/client.ts';
import { cancelJob, findJob, type JobRow, pageOfJobs, viewJob } from '../db/jobs.ts';
import type { AppEnv } from '../http/app-env.ts';
import { toPage } from '../http/pages.ts';
import { json, jsonRequest, named } from '../http/responses.ts';
import { placesOf } from '../jobs/queue-places.ts';
import { idempotent } from '../middleware/idempotency.ts';
import { jsonBody } from '../middleware/json-body.ts';

const JobObject = named('Job', job);
const params = z.object({ id: z.string() });
const one = { 200: json('The job', JobObject) };

const create = createRoute({
  operationId: 'createJob',
  method: 'post',
  path: '/v1/fine_tuning/jobs',
  summary: 'Train an adapter, as a fine-tuning job of the OpenAI API',
  middleware: [...jsonBody(), idempotent],
  request: { body: jsonRequest(named('CreateJob', createJob)) },
  responses: one,
});

const list = createRoute({
  operationId: 'listJobs',
  method: 'get',
  path: '/v1/fine_tuning/jobs',
  summary: 'List training jobs',
  request: { query: listJobsQuery },
  responses: { 200: json('A page', named('JobList', listOf(JobObject))) },
});

const get = createRoute({
  operationId: 'getJob',
  method: 'get',
  path: '/v1/fine_tuning/jobs/{id}',
  summary: 'Get a training job',
  request: { params },
  responses: one,
});

const cancel = createRoute({
  operationId: 'cancelJob',
  method: 'post',
  path: '/v1/fine_tuning/jobs/{id}/cancel',
  summary: 'Cancel a training job',
  request: { params },
  responses: one,
});

export const jobs = new OpenAPIHono<AppEnv>()
  .openapi(create, async (c) => {
    const [db, tenant] = [c.get('db'), c.get('tenant')];
    const id = await submitJob(c.env, db, tenant, c.req.valid('json'));
    return c.json(await viewWithPlace(db, await readJob(db, tenant, id)), 200);
  })
  .openapi(list, async (c) => {
    const { metadata, ...paging } = c.req.valid('query');
    const rows = await pageOfJobs(c.get('db'), c.get('tenant'), { ...paging, metadata });
    if (!rows) throw unknownJob(paging.after!, 'after');
    const places = await placesOf(c.get('db'), rows.slice(0, paging.limit));
    return c.json(
      toPage(
        rows,
        paging.limit,
        (row) => viewJob(row, places.get(row.id)),
        (item) => item.id,
      ),
      200,
    );
  })
  .openapi(get, async (c) => {
    const { id } = c.req.valid('param');
    return c.json(await viewWithPlace(c.get('db'), await readJob(c.get('db'), c.get('tenant'), id)), 200);
  })
  .openapi(cancel, async (c) => {
    const { id } = c.req.valid('param');
    const cancelled = await cancelJob(c.get('db'), c.get('tenant'), id, unixNow());
    const row = await readJob(c.get('db'), c.get('tenant'), id);
    if (!cancelled) throw new AppError('job_finished', `Job ${id} has ended already: it is ${row.status}.`);
    return c.json(viewJob(row), 200);
  });

async function viewWithPlace(db: Db, row: JobRow): Promise<Job> {
  return viewJob(row, (await placesOf(db, [row])).get(row.id));
}

async function readJob(db: Db, tenant: string, id: string): Promise<JobRow> {
  const row = await findJob(db, tenant, id);
  if (!row) throw unknownJob(id);
  return row;
}

function unknownJob(id: string, param?: string): AppError {
  return new AppError('job_not_found', `There is no job ${id}.`, param === undefined ? {} : { param });
}
