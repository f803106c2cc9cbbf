import { app } from './app.ts';
import { everyMinute } from './cron.ts';
import type { Env } from './env.ts';

export default {
  fetch: app.fetch,
  scheduled: (_event, env) => everyMinute(env),
} satisfies ExportedHandler<Env>;
