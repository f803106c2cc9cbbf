import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { bundleFile, MAX_FILE_BYTES, manifestEntry, sha256Hex } from '../../shared/adapter-format.ts';
import {
  bundleManifestResponse,
  LEASE_TOKEN_HEADER,
  leaseCheckpoint,
  MAX_CHECKPOINT_BYTES,
} from '../../shared/api/nodes.ts';
import { AppError } from '../../shared/errors.ts';
import { unixNow } from '../clock.ts';
import { findBundle } from '../db/adapters.ts';
import { keepCheckpoint } from '../db/checkpoints.ts';
import type { Db } from '../db/client.ts';
import { randomHex } from '../hashing.ts';
import type { AppEnv } from '../http/app-env.ts';
import { json } from '../http/responses.ts';
import { leasedJob, leaseLost } from '../jobs/leased-job.ts';
import { deleteObjects } from '../objects/delete-objects.ts';
import { attemptPrefix, checkpointKey } from '../objects/object-keys.ts';
import { putStream, serveObject } from '../objects/storage.ts';
import { boundedBody } from '../upload/request-bytes.ts';

const token = z.object({ [LEASE_TOKEN_HEADER]: z.string() });
const binary = { description: 'The bytes', content: { 'application/octet-stream': { schema: z.any() } } };

const dataset = createRoute({
  method: 'get',
  path: '/internal/jobs/{id}/files/{kind}',
  hide: true,
  request: {
    params: z.object({ id: z.string(), kind: z.enum(['training', 'validation']) }),
    headers: token,
  },
  responses: { 200: binary },
});

const adapterUpload = createRoute({
  method: 'put',
  path: '/internal/jobs/{id}/adapter/{file}',
  hide: true,
  request: { params: z.object({ id: z.string(), file: bundleFile }), headers: token },
  responses: { 200: json('Stored', manifestEntry) },
});

const checkpointUpload = createRoute({
  method: 'put',
  path: '/internal/jobs/{id}/checkpoint',
  hide: true,
  request: { params: z.object({ id: z.string() }), headers: token },
  responses: { 200: json('Kept', leaseCheckpoint) },
});

const checkpointDownload = createRoute({
  method: 'get',
  path: '/internal/jobs/{id}/checkpoint',
  hide: true,
  request: { params: z.object({ id: z.string() }), headers: token },
  responses: { 200: binary },
});

const manifest = createRoute({
  method: 'get',
  path: '/internal/adapters/{bundle}',
  hide: true,
  request: { params: z.object({ bundle: sha256Hex }) },
  responses: { 200: json('The manifest', bundleManifestResponse) },
});

const adapterDownload = createRoute({
  method: 'get',
  path: '/internal/adapters/{bundle}/files/{file}',
  hide: true,
  request: { params: z.object({ bundle: sha256Hex, file: bundleFile }) },
  responses: { 200: binary },
});

export const internalFiles = new OpenAPIHono<AppEnv>()
  .openapi(dataset, async (c) => {
    const { id, kind } = c.req.valid('param');
    const job = await leasedJob(c.get('db'), id, c.req.valid('header')[LEASE_TOKEN_HEADER]!);
    const missing = new AppError('file_not_found', `Job ${id} has no ${kind} file.`);
    const key = kind === 'training' ? job.trainingKey : job.validationKey;
    if (key === null) throw missing;
    return serveObject(c.env, key, { 'content-type': 'application/jsonl' }, missing);
  })
  .openapi(adapterUpload, async (c) => {
    const { id, file } = c.req.valid('param');
    const db = c.get('db');
    const job = await leasedJob(db, id, c.req.valid('header')[LEASE_TOKEN_HEADER]!);
    // The attempt is part of the key, so that a stale node overwrites nothing.
    const key = attemptPrefix(id, job.attempt) + file;
    const chunks = boundedBody(c.req.raw, MAX_FILE_BYTES[file], file);
    return c.json({ name: file, ...(await putStream(c.env, db, key, chunks)) }, 200);
  })
  .openapi(checkpointUpload, async (c) => {
    const { id } = c.req.valid('param');
    const held = c.req.valid('header')[LEASE_TOKEN_HEADER]!;
    const db = c.get('db');
    const { attempt, checkpoint: earlier } = await leasedJob(db, id, held);
    const key = checkpointKey(id, attempt, randomHex(8));
    const chunks = boundedBody(c.req.raw, MAX_CHECKPOINT_BYTES, 'a checkpoint');
    const { sha256 } = await putStream(c.env, db, key, chunks);
    if (!(await keepCheckpoint(db, { id, token: held }, { key, attempt, sha256 }, unixNow()))) {
      await deleteObjects(c.env, db, [key]);
      throw leaseLost(id);
    }
    if (earlier) await deleteObjects(c.env, db, [earlier.key]);
    return c.json({ attempt, sha256 }, 200);
  })
  .openapi(checkpointDownload, async (c) => {
    const { id } = c.req.valid('param');
    const { checkpoint } = await leasedJob(c.get('db'), id, c.req.valid('header')[LEASE_TOKEN_HEADER]!);
    const missing = new AppError('file_not_found', `Job ${id} has no checkpoint.`);
    if (checkpoint === null) throw missing;
    return serveObject(c.env, checkpoint.key, { 'content-type': 'application/octet-stream' }, missing);
  })
  .openapi(manifest, async (c) => {
    const { bundle } = c.req.valid('param');
    const found = await readBundle(c.get('db'), bundle);
    return c.json({ bundle, manifest: found.manifest }, 200);
  })
  .openapi(adapterDownload, async (c) => {
    const { bundle, file } = c.req.valid('param');
    const { prefix } = await readBundle(c.get('db'), bundle);
    const headers = { 'content-type': 'application/octet-stream' };
    return serveObject(c.env, prefix + file, headers, unknownBundle(bundle));
  });

async function readBundle(db: Db, bundle: string) {
  const found = await findBundle(db, bundle);
  if (!found) throw unknownBundle(bundle);
  return found;
}

function unknownBundle(bundle: string): AppError {
  return new AppError('adapter_not_found', `There is no adapter of bundle ${bundle}.`);
}
