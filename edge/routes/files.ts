import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { listOf } from '../../shared/api/common.ts';
import {
  columnName,
  expirySeconds,
  file,
  fileDeleted,
  invalidRows,
  listFilesQuery,
  type Purpose,
  uploadPurpose,
} from '../../shared/api/datasets.ts';
import { AppError } from '../../shared/errors.ts';
import { unixNow } from '../clock.ts';
import type { Db } from '../db/client.ts';
import {
  deleteFile,
  type FileRow,
  findContent,
  findFile,
  insertFile,
  pageOfFiles,
  viewFile,
} from '../db/files.ts';
import { newId } from '../hashing.ts';
import type { AppEnv } from '../http/app-env.ts';
import { toPage } from '../http/pages.ts';
import { form, json, named } from '../http/responses.ts';
import { deleteObjects } from '../objects/delete-objects.ts';
import { FileErrors } from '../objects/file-errors.ts';
import { fileKey } from '../objects/object-keys.ts';
import { ObjectWriter, serveObject } from '../objects/storage.ts';
import { boundaryOf } from '../upload/multipart.ts';
import { MAX_BODY_BYTES, receiveDataset, tooLargeUpload } from '../upload/receive-dataset.ts';
import { requestBytes } from '../upload/request-bytes.ts';

const File = named('File', file);
const params = z.object({ id: z.string() });

/** How the files of each purpose are sent. */
const CONTENT: Readonly<Record<Purpose, { type: string; extension: string }>> = {
  'fine-tune': { type: 'application/jsonl', extension: 'jsonl' },
  batch: { type: 'application/jsonl', extension: 'jsonl' },
  'fine-tune-results': { type: 'text/csv', extension: 'csv' },
};

const UPLOAD_FILES = {
  file: {
    description:
      'Rows of a text and its label, as JSONL, a JSON array or CSV, also gzipped; chats, prompts with completions, and exports of Label Studio, Argilla and doccano',
  },
};
const uploadFields = z.object({
  purpose: uploadPurpose.extract(['fine-tune']),
  invalid_rows: invalidRows
    .optional()
    .describe('What becomes of a file with invalid rows; "refuse" unless given'),
  text_column: columnName
    .optional()
    .describe('Name of the column or field that holds the text, where it is not "text"; before the file'),
  label_column: columnName
    .optional()
    .describe('Name of the column, field, control or question that gives the label; before the file'),
  'expires_after[anchor]': z.literal('created_at').optional(),
  'expires_after[seconds]': expirySeconds.optional().describe('Seconds after which it is deleted'),
});

const upload = createRoute({
  operationId: 'uploadFile',
  method: 'post',
  path: '/v1/files',
  summary: 'Upload a dataset of at most 95 MiB',
  request: { body: form(UPLOAD_FILES, uploadFields) },
  responses: { 201: json('The file', File) },
});

const list = createRoute({
  operationId: 'listFiles',
  method: 'get',
  path: '/v1/files',
  summary: 'List files',
  request: { query: listFilesQuery },
  responses: { 200: json('A page', named('FileList', listOf(File))) },
});

const get = createRoute({
  operationId: 'getFile',
  method: 'get',
  path: '/v1/files/{id}',
  summary: 'Get a file',
  request: { params },
  responses: { 200: json('The file', File) },
});

const content = createRoute({
  operationId: 'downloadFile',
  method: 'get',
  path: '/v1/files/{id}/content',
  summary: 'Download a file; a dataset as it is trained on: JSONL, a row a line, whatever it was uploaded as',
  request: { params },
  responses: {
    200: {
      description: 'The content; the ETag is its SHA-256',
      content: { 'application/jsonl': { schema: z.any() }, 'text/csv': { schema: z.string() } },
    },
    304: { description: 'As in If-None-Match' },
  },
});

const remove = createRoute({
  operationId: 'deleteFile',
  method: 'delete',
  path: '/v1/files/{id}',
  summary: 'Delete a file that no unfinished job needs',
  request: { params },
  responses: { 200: json('Deleted', named('FileDeleted', fileDeleted)) },
});

export const files = new OpenAPIHono<AppEnv>();

// The route only documents: as a handler it would validate the body, and hold all of it in memory.
files.openAPIRegistry.registerPath(upload);
files.post(upload.path, async (c) => {
  const boundary = boundaryOf(c.req.header('content-type'));
  if (Number(c.req.header('content-length') ?? 0) > MAX_BODY_BYTES) throw tooLargeUpload();
  const db = c.get('db');
  const id = newId('file');
  const objectKey = fileKey(id);
  const tenant = c.get('tenant');
  const writer = new ObjectWriter(c.env, db, objectKey);
  const errors = new FileErrors(c.env, db, tenant, id);
  try {
    const received = await receiveDataset(requestBytes(c.req.raw), boundary, writer, errors);
    await writer.finish();
    const errorsKey = await errors.finish();
    const { expiresAfter, ...described } = received;
    const createdAt = unixNow();
    const expiresAt = expiresAfter === null ? null : createdAt + expiresAfter;
    const purpose = 'fine-tune' as const;
    const row = { id, tenant, ...described, purpose, errorsKey, objectKey, createdAt, expiresAt };
    if (!(await insertFile(db, row))) throw new Error(`the object of ${id} was swept before it was claimed`);
    return c.json(viewFile(row), 201);
  } catch (error) {
    await writer.abort();
    throw await errors.listedBy(error);
  }
});

files.openapi(list, async (c) => {
  const { purpose, ...paging } = c.req.valid('query');
  const rows = await pageOfFiles(c.get('db'), c.get('tenant'), { ...paging, purpose });
  if (!rows) throw unknownFile(paging.after!, 'after');
  return c.json(
    toPage(rows, paging.limit, viewFile, (item) => item.id),
    200,
  );
});

files.openapi(get, async (c) => {
  const { id } = c.req.valid('param');
  return c.json(viewFile(await readFile(c.get('db'), c.get('tenant'), id)), 200);
});

files.openapi(content, async (c) => {
  const { id } = c.req.valid('param');
  const found = await findContent(c.get('db'), c.get('tenant'), id);
  if (!found) throw unknownFile(id);
  const headers = { etag: `"${found.sha256}"`, 'cache-control': 'private, no-cache' };
  if (c.req.header('if-none-match') === headers.etag) return c.body(null, 304, headers);
  const { type, extension } = CONTENT[found.purpose];
  const download = {
    'content-type': type,
    'content-disposition': `attachment; filename="${id}.${extension}"`,
  };
  return serveObject(c.env, found.key, { ...headers, ...download }, unknownFile(id));
});

files.openapi(remove, async (c) => {
  const { id } = c.req.valid('param');
  const db = c.get('db');
  const keys = await deleteFile(db, c.get('tenant'), id, unixNow());
  if (keys === undefined) {
    await readFile(db, c.get('tenant'), id);
    throw new AppError(
      'file_in_use',
      `An unfinished job or evaluation needs file ${id}; cancel it, or wait for its end.`,
    );
  }
  await deleteObjects(c.env, db, keys);
  return c.json({ id, object: 'file' as const, deleted: true as const }, 200);
});

export async function readFile(db: Db, tenant: string, id: string, param?: string): Promise<FileRow> {
  const row = await findFile(db, tenant, id);
  if (!row) throw unknownFile(id, param);
  return row;
}

export function unknownFile(id: string, param?: string): AppError {
  return new AppError('file_not_found', `There is no file ${id}.`, param === undefined ? {} : { param });
}
