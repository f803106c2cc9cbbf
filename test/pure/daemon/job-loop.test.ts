import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { EdgeClient } from '../../../gpu-node/daemon/edge-client.ts';
import { JobLoop } from '../../../gpu-node/daemon/job-loop.ts';
import { jobLease } from '../../../shared/api/nodes.ts';
import { recordingLog } from '../../support/logs.ts';

const LEASE = jobLease.parse({
  job_id: `ftjob_${'1'.repeat(24)}`,
  token: 'a'.repeat(32),
  attempt: 1,
  adapter: 'spam@1',
  base_model: 'tiny-bert',
  base_model_sha256: '0'.repeat(64),
  method: { type: 'lora' },
  hyperparameters: {},
  resolved: null,
  validation_split: 'auto',
  has_validation_file: false,
  seed: 1,
  lease_seconds: 30,
});

it('is free again after a job whose folder can neither be made nor removed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'weft-jobs-'));
  const file = join(folder, 'file');
  await writeFile(file, '');
  const { log, lines } = recordingLog();
  const free = Promise.withResolvers<void>();
  const jobs = new JobLoop({
    // Nothing listens there: the edge does not hear of it either.
    edge: new EdgeClient({ url: 'http://127.0.0.1:1', secret: 's' }),
    folder: join(file, 'jobs'),
    baseModels: [{ id: 'tiny-bert', folder: '/none', sha256: '0'.repeat(64), weights_folder: '/none' }],
    autoPrecision: 'fp32',
    device: 'cpu',
    threads: 1,
    checkpointInterval: 1000,
    trainer: new URL('file:///none'),
    log,
    onChange: free.resolve,
  });
  jobs.start(LEASE);
  await free.promise;
  expect(jobs.wantsJob).toBe(true);
  expect(lines.map(({ message }) => message)).toContain("a job's folder cannot be removed");
  await rm(folder, { recursive: true });
});
