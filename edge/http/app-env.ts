import type { Db } from '../db/client.ts';
import type { Env } from '../env.ts';
import type { NodeClient } from '../nodes/node-client.ts';

/** Hono's type parameter: bindings, and what middleware has put into the context by the time a handler runs. */
export interface AppEnv {
  Bindings: Env;
  Variables: {
    requestId: string;
    db: Db;
    nodes: NodeClient;
    /** Set by `requireTenant` under `/v1/`; every query there is scoped by it. */
    tenant: string;
  };
}
