import { Hono } from 'hono';
import { describe, expect, it } from 'vitest';
import type { AppEnv } from '../../edge/http/app-env.ts';
import { respondWithError } from '../../edge/http/problems.ts';

/** What a client gets where a statement fails with this message of D1's. */
async function answerTo(message: string): Promise<Response> {
  const app = new Hono<AppEnv>();
  app.onError(respondWithError);
  app.get('/', () => {
    throw new Error('Failed query: select …', { cause: new Error(message) });
  });
  return await app.request('/');
}

describe('a fault of the database', () => {
  it.each([
    'D1_ERROR: D1 DB is overloaded. Requests queued for too long.',
    'D1_ERROR: Failed to get session commit token: internal error; reference = tuc0qni8db17',
    'database is locked: SQLITE_BUSY',
  ])('that passes says when to come back: %s', async (message) => {
    const answer = await answerTo(message);
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('2');
  });
});
