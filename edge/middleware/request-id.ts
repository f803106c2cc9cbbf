import { createMiddleware } from 'hono/factory';
import { REQUEST_ID_HEADER, requestId } from '../../shared/api/nodes.ts';
import type { AppEnv } from '../http/app-env.ts';

/** The id that logs and problems of edge and nodes name a request by: the client's own, or a new one. */
export const nameRequest = createMiddleware<AppEnv>(async (c, next) => {
  const given = requestId.safeParse(c.req.header(REQUEST_ID_HEADER));
  const id = given.data ?? crypto.randomUUID();
  c.set('requestId', id);
  await next();
  // On what is answered, because a response that a handler has made itself, such as a download, takes no header from before.
  c.header(REQUEST_ID_HEADER, id);
});
