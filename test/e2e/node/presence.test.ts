import { expect, it } from 'vitest';
import { EdgeClient } from '../../../gpu-node/daemon/edge-client.ts';
import type { JobLoop } from '../../../gpu-node/daemon/job-loop.ts';
import { Presence } from '../../../gpu-node/daemon/presence.ts';
import type { TaskLoop } from '../../../gpu-node/daemon/task-loop.ts';
import { ServingLease } from '../../../gpu-node/serve/serving-lease.ts';
import type { RegisterNode } from '../../../shared/api/nodes.ts';
import { AppError, problem } from '../../../shared/errors.ts';
import { startServer } from '../../support/http-server.ts';
import { recordingLog } from '../../support/logs.ts';

it('says each reason why the edge refuses the node once, and what to do', async () => {
  const refusals = [
    new AppError('invalid_api_key', 'a client would not know'),
    new AppError('invalid_api_key', 'a client would not know'),
    new AppError('internal_error', 'Something went wrong.'),
  ];
  const serving = { lease_seconds: 10, head: 7, changes: null };
  await using edge = await startServer((_request, response) => {
    const refusal = refusals.shift();
    if (refusal) response.writeHead(refusal.status).end(JSON.stringify(problem(refusal, 'r')));
    else response.end(JSON.stringify({ id: 'node_1', heartbeat_seconds: 5, serving }));
  });
  const { log, lines } = recordingLog();
  const presence = new Presence({
    edge: new EdgeClient({ url: edge.url, secret: 'the node secret' }),
    // Only the heartbeats, which this test does not reach, ask for jobs.
    jobs: {} as JobLoop,
    tasks: {} as TaskLoop,
    node: {} as RegisterNode,
    serving: new ServingLease(),
    load: () => {
      throw new Error('only a heartbeat says it');
    },
    onDeleted: () => {},
    log,
  });
  await presence.register(new AbortController().signal);
  expect(lines).toMatchObject([
    { level: 'warn', reason: "WEFT_NODE_SECRET is not the edge's NODE_SECRET" },
    { level: 'warn', reason: expect.stringContaining('may lack a migration') },
  ]);
});
