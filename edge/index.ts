import { app } from './app.ts';
import type { Env } from './env.ts';
import { reapLeases } from './reap-leases.ts';

export default {
  fetch: app.fetch,
  scheduled: (_event, env) => reapLeases(env),
} satisfies ExportedHandler<Env>;
