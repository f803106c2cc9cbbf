import { createMiddleware } from 'hono/factory';
import { REQUEST_ID_HEADER, requestId } from '../../shared/api/nodes.ts';
import type { AppEnv } from '../http/app-env.ts';

/** Gives a request the id by which logs and problems of edge and nodes name it: the client's own, or a new one. */
export const nameRequest = createMiddleware<AppEnv>(async (c, next) => {
  const given = requestId.safeParse(c.req.header(REQUEST_ID_HEADER));
  const id = given.data ?? crypto.randomUUID();
  c.set('requestId', id);
  await next();
  // The header goes onto the finished answer: a response that a handler makes itself, such as a download, loses headers set earlier.
  c.header(REQUEST_ID_HEADER, id);
});
