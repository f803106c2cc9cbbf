import type { ClientKey } from '../db/api-keys.ts';
import type { Db } from '../db/client.ts';
import type { Env } from '../env.ts';
import type { NodeClient } from '../nodes/node-client.ts';

/** Hono's type parameter: the bindings, and the values that middleware puts into the context before a handler runs. */
export interface AppEnv {
  Bindings: Env;
  Variables: {
    requestId: string;
    db: Db;
    nodes: NodeClient;
    /** The tenant, set by `requireTenant` under `/v1/`; every query there is scoped by it. */
    tenant: string;
    /** The key that the request came with, set beside it. */
    key: ClientKey;
    /** Tokens that the request's texts came to, where it classifies. */
    tokens?: number;
  };
}
