import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { type BundleManifest, canonicalManifest } from '../../shared/adapter-format.ts';
import { type CompleteJob, completeJob, failJob } from '../../shared/api/nodes.ts';
import { AppError } from '../../shared/errors.ts';
import { MAX_COMPLETION_BYTES } from '../../shared/label-limits.ts';
import { checkTrained } from '../adapters/check-trained.ts';
import { storeResults } from '../adapters/store-results.ts';
import { unixNow } from '../clock.ts';
import type { Db } from '../db/client.ts';
import { failAttempt, finishJob } from '../db/completion.ts';
import { findObjects } from '../db/objects.ts';
import { sha256Of } from '../hashing.ts';
import type { AppEnv } from '../http/app-env.ts';
import { json, jsonRequest } from '../http/responses.ts';
import { heldJob, leaseLost } from '../jobs/leased-job.ts';
import { jsonBody } from '../middleware/json-body.ts';
import { changeName } from '../nodes/change-name.ts';
import { prefetch } from '../nodes/residency.ts';
import { attemptPrefix } from '../objects/object-keys.ts';

const params = z.object({ id: z.string() });
const status = z.object({ job_id: z.string(), status: z.string() });

const complete = createRoute({
  method: 'post',
  path: '/internal/jobs/{id}/complete',
  hide: true,
  middleware: jsonBody(MAX_COMPLETION_BYTES),
  request: { params, body: jsonRequest(completeJob) },
  responses: { 200: json('The adapter is registered', status) },
});

const fail = createRoute({
  method: 'post',
  path: '/internal/jobs/{id}/fail',
  hide: true,
  middleware: jsonBody(),
  request: { params, body: jsonRequest(failJob) },
  responses: { 200: json('The attempt has ended', status) },
});

export const internalJobs = new OpenAPIHono<AppEnv>()
  .openapi(complete, async (c) => {
    const { id } = c.req.valid('param');
    const body = c.req.valid('json');
    const db = c.get('db');
    const job = await heldJob(db, id, body.token);
    if (job.status === 'succeeded') return c.json({ job_id: id, status: job.status }, 200);
    const prefix = attemptPrefix(id, job.attempt);
    checkAgainstItself(body);
    await checkStored(db, prefix, body.manifest);
    await checkTrained(c.env, db, job, body.resolved, prefix, body.manifest);
    const bundle = await sha256Of(canonicalManifest(body.manifest));
    const results = await storeResults(c.env, db, job, body.events);
    const trained = { bundle, manifest: body.manifest, prefix, results };
    const nodes = c.get('nodes');
    const finished = await changeName(nodes, db, job.tenant, job.adapterName, ({ seq }) =>
      finishJob(db, job, body, trained, seq, unixNow()),
    );
    // Another completion under the same lease may have been faster.
    if (!finished && (await heldJob(db, id, body.token)).status !== 'succeeded') throw leaseLost(id);
    c.executionCtx.waitUntil(prefetch(db, nodes, job));
    return c.json({ job_id: id, status: 'succeeded' }, 200);
  })
  .openapi(fail, async (c) => {
    const { id } = c.req.valid('param');
    const body = c.req.valid('json');
    const db = c.get('db');
    const ended = await failAttempt(db, id, body, unixNow());
    if (ended === undefined) {
      const job = await heldJob(db, id, body.token);
      if (job.status !== 'failed') throw leaseLost(id);
    }
    return c.json({ job_id: id, status: ended ?? 'failed' }, 200);
  });

function checkAgainstItself({ manifest, metrics, resolved }: CompleteJob): void {
  const names = new Set(manifest.map((entry) => entry.name));
  if (names.size !== manifest.length) {
    throw new AppError('invalid_adapter', 'The manifest names a file twice.', { param: 'manifest' });
  }
  const rows = metrics?.validation.confusion_matrix.length ?? resolved.labels.length;
  if (rows !== resolved.labels.length) {
    const message = `The confusion matrix has ${rows} rows for ${resolved.labels.length} labels.`;
    throw new AppError('invalid_adapter', message, { param: 'metrics.validation.confusion_matrix' });
  }
}

/** Refuses a completion unless every file of the manifest arrived in this attempt, with the size and hash it names. */
async function checkStored(db: Db, prefix: string, manifest: BundleManifest): Promise<void> {
  const stored = await findObjects(
    db,
    manifest.map((entry) => prefix + entry.name),
  );
  for (const { name, bytes, sha256 } of manifest) {
    const object = stored.find(({ key }) => key === prefix + name);
    if (object?.bytes === bytes && object.sha256 === sha256) continue;
    const found = object ? `${object.bytes} bytes with SHA-256 ${object.sha256}` : 'nothing';
    throw new AppError(
      'invalid_adapter',
      `${name}: ${found} arrived in this attempt, the manifest says ${bytes} bytes with SHA-256 ${sha256}.`,
      { param: 'manifest' },
    );
  }
}
