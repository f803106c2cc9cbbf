import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { fileId } from '../../shared/api/common.ts';
import { fileReport } from '../../shared/api/dataset-report.ts';
import { findLeaks } from '../../shared/dataset/leaks.ts';
import { AppError } from '../../shared/errors.ts';
import type { Env } from '../env.ts';
import type { AppEnv } from '../http/app-env.ts';
import { json, named } from '../http/responses.ts';
import { fileErrorsKey } from '../objects/object-keys.ts';
import { readFile, unknownFile } from './files.ts';

/** The ETag of a list without rows. */
const NO_ERRORS = '"none"';
const params = z.object({ id: z.string() });

const report = createRoute({
  operationId: 'getFileReport',
  method: 'get',
  path: '/v1/files/{id}/report',
  summary: 'Get what is odd about a dataset, also beside the file that it is to be validated by',
  request: {
    params,
    query: z.object({
      validation_file: fileId.optional().describe('A file whose texts should not be among those of this one'),
    }),
  },
  responses: { 200: json('The report', named('FileReport', fileReport)) },
});

const errors = createRoute({
  operationId: 'downloadFileErrors',
  method: 'get',
  path: '/v1/files/{id}/errors',
  summary: 'Download all bad rows of an upload, as JSONL of line and message; of a refused one for an hour',
  request: { params },
  responses: {
    200: { description: 'The bad rows', content: { 'application/jsonl': { schema: z.any() } } },
    304: { description: 'As in If-None-Match' },
  },
});

export const fileReports = new OpenAPIHono<AppEnv>();

fileReports.openapi(report, async (c) => {
  const { id } = c.req.valid('param');
  const { validation_file } = c.req.valid('query');
  const [db, tenant] = [c.get('db'), c.get('tenant')];
  const file = await readFile(db, tenant, id);
  if (!file.report)
    throw new AppError(
      'file_not_found',
      `File ${id} has no report: it is no dataset, or from before there were any.`,
    );
  const alone = { ...file.report, labels: file.labels };
  if (validation_file === undefined) return c.json(alone, 200);
  const validation = await readFile(db, tenant, validation_file, 'validation_file');
  const { rows, lines, isComplete } = await findLeaks(
    contentOf(c.env, file.objectKey),
    contentOf(c.env, validation.objectKey),
  );
  const leaks = { validation_file, rows, lines };
  return c.json({ ...alone, leaks, is_complete: alone.is_complete && isComplete }, 200);
});

fileReports.openapi(errors, async (c) => {
  const { id } = c.req.valid('param');
  const [db, tenant] = [c.get('db'), c.get('tenant')];
  if (!fileId.safeParse(id).success) throw unknownFile(id);
  const object = await c.env.BUCKET.get(fileErrorsKey(tenant, id));
  if (!object) await readFile(db, tenant, id);
  const etag = object?.httpEtag ?? NO_ERRORS;
  const headers = { etag, 'cache-control': 'private, no-cache' };
  if (c.req.header('if-none-match') === etag) {
    await object?.body.cancel();
    return c.body(null, 304, headers);
  }
  const download = {
    'content-type': 'application/jsonl',
    'content-disposition': `attachment; filename="${id}.errors.jsonl"`,
  };
  return new Response(object?.body ?? '', { headers: { ...headers, ...download } });
});

/** A stored dataset's bytes, asked for when they are read. */
async function* contentOf(env: Env, key: string): AsyncGenerator<Uint8Array> {
  const object = await env.BUCKET.get(key);
  if (!object) throw new Error(`the object ${key} is missing`);
  yield* object.body;
}
