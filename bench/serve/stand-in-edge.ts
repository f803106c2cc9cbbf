import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { HeartbeatResponse, RegisterNode, RegisterNodeResponse } from '../../shared/api/nodes.ts';

/** Lets a daemon serve on what it knew at its start, for longer than any measurement takes. */
const SERVING = { lease_seconds: 3600, head: 0, changes: [] };

/** Starts a server with the edge's calls that a daemon needs to serve its cache: registration and a lease. It has no jobs. */
export async function startStandInEdge(): Promise<{ url: string; server: Server }> {
  const server = createServer(async (request, response) => {
    const body = await json(request);
    const answer = request.url?.endsWith('/heartbeat')
      ? ({
          jobs: [],
          lease: null,
          tasks: [],
          task_lease: null,
          deleted_bundles: [],
          deletions_cursor: 0,
          serving: SERVING,
        } satisfies HeartbeatResponse)
      : ({
          id: (body as RegisterNode).id,
          heartbeat_seconds: 60,
          serving: SERVING,
        } satisfies RegisterNodeResponse);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}
