import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { EdgeClient } from '../../../gpu-node/daemon/edge-client.ts';
import { TaskAttempt } from '../../../gpu-node/daemon/task-attempt.ts';
import { storedEvaluationResult } from '../../../shared/api/evaluations.ts';
import { taskLease } from '../../../shared/api/tasks.ts';
import { AppError } from '../../../shared/errors.ts';
import { bodyOf, startServer } from '../../support/http-server.ts';
import { recordingLog } from '../../support/logs.ts';

const BUNDLE = 'b'.repeat(64);
const ROWS = Array.from({ length: 150 }, (_, i) => ({
  text: `text ${i}`,
  label: i % 3 === 0 ? 'spam' : 'ham',
}));
const LEASE = taskLease.parse({
  task_id: 'eval_1',
  token: 'a'.repeat(32),
  kind: 'evaluation',
  attempt: 2,
  tenant: 't',
  models: [{ ref: 'spam@1', bundle: BUNDLE }],
  parts: 2,
  part_rows: 100,
  lease_seconds: 30,
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-task-'));
});
afterAll(() => rm(folder, { recursive: true }));

it('asks about the rows after the last part alone, again where the node is full, and counts all', async () => {
  const sent = new Map<string, string>();
  await using edge = await startServer(async (request, response) => {
    const path = request.url!.replace('/internal/tasks/eval_1/', '');
    if (request.method !== 'GET') sent.set(path, await bodyOf(request));
    // Earlier attempts found each row to be "ham".
    const part = '[[0,0.75,0.5,0]]\n'.repeat(50);
    response.end(
      path === 'file'
        ? ROWS.map((row) => `${JSON.stringify(row)}\n`).join('')
        : path.startsWith('parts/')
          ? part
          : '{}',
    );
  });
  const asked: string[] = [];
  let refusals = 1;
  const attempt = new TaskAttempt(LEASE, {
    edge: new EdgeClient({ url: edge.url, secret: 's' }),
    folder,
    classify: async ({ rows, tenant }) => {
      expect(tenant).toBe('t');
      if (refusals-- > 0) throw new AppError('rate_limited', 'full', { retryAfter: 0.01 });
      asked.push(...rows.map(({ text }) => text));
      return {
        labels: { [BUNDLE]: ['ham', 'spam'] },
        rows: rows.map(() => ({ scores: [0.25, 0.75], tokens: 1, truncated: false })),
        timing: { queue: 0, load: 0, run: 0 },
      };
    },
    log: recordingLog().log,
    onChange: () => {},
  });
  await attempt.run();
  // The first asks for the labels.
  expect(asked.slice(1)).toEqual(ROWS.slice(100).map(({ text }) => text));
  const { results } = storedEvaluationResult.parse(JSON.parse(sent.get('result')!));
  const hamBefore = ROWS.slice(0, 100).filter(({ label }) => label === 'ham').length;
  const spamAfter = ROWS.slice(100).filter(({ label }) => label === 'spam').length;
  expect(results[0]!.metrics.examples).toBe(150);
  expect(results[0]!.metrics.accuracy).toBeCloseTo((hamBefore + spamAfter) / 150, 12);
  expect(JSON.parse(sent.get('complete')!)).toEqual({ token: LEASE.token, rows: 150 });
});
