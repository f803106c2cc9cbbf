import { env } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import worker from '../../edge/index.ts';
import { type Client, makeTenant } from './support/api.ts';

const ORIGIN = 'https://console.example';
let client: Client;
beforeAll(async () => {
  client = await makeTenant();
});

/** One request to a Worker whose `CORS_ORIGINS` is `allowed`. */
async function from(origin: string, allowed: string, path: string, init: RequestInit = {}) {
  const headers = { origin, authorization: `Bearer ${client.key}`, ...(init.headers as object) };
  const request = new Request(`https://edge.test${path}`, { ...init, headers });
  const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} };
  return worker.fetch(request as never, { ...env, CORS_ORIGINS: allowed }, context as never);
}

function preflight(origin: string, allowed: string) {
  const headers = {
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type,x-stainless-lang',
  };
  return from(origin, allowed, '/v1/classify', { method: 'OPTIONS', headers });
}

describe('a page of another origin', () => {
  it('may ask where the configuration names its origin', async () => {
    for (const allowed of [ORIGIN, `https://a.example, ${ORIGIN}`]) {
      const answer = await preflight(ORIGIN, allowed);
      expect(answer.status).toBe(204);
      expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN);
      expect(answer.headers.get('access-control-allow-methods')).toContain('POST');
      expect(answer.headers.get('access-control-allow-headers')).toContain('x-stainless-lang');
      expect(answer.headers.get('vary')).toContain('Origin');
    }
    for (const path of ['/v1/models', '/v1/adapters/none', '/v1/nothing', '/v1/models?a=1']) {
      const answer = await from(ORIGIN, ORIGIN, path);
      expect(answer.headers.get('access-control-allow-origin')).toBe(ORIGIN);
      const exposed = answer.headers.get('access-control-expose-headers')?.toLowerCase().split(',') ?? [];
      expect(exposed).toEqual(expect.arrayContaining(['x-request-id', 'retry-after', 'server-timing']));
    }
  });

  it('may not where it does not, and by default none may', async () => {
    expect(env.CORS_ORIGINS).toBe('');
    for (const allowed of ['', 'https://other.example', `${ORIGIN}.evil.example`, 'https://console']) {
      const answer = await preflight(ORIGIN, allowed);
      expect(answer.status).toBe(204);
      expect(answer.headers.get('access-control-allow-origin')).toBeNull();
      const got = await from(ORIGIN, allowed, '/v1/models');
      expect([got.status, got.headers.get('access-control-allow-origin')]).toEqual([200, null]);
    }
  });

  it('is never given credentials, nor the routes of nodes', async () => {
    const answer = await preflight(ORIGIN, ORIGIN);
    expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
    const internal = await from(ORIGIN, ORIGIN, '/internal/nodes', { method: 'POST' });
    expect(internal.headers.get('access-control-allow-origin')).toBeNull();
  });
});

it('OPTIONS that is no preflight says which methods there are', async () => {
  const answer = await client.call('/v1/files', { method: 'OPTIONS' });
  expect([answer.status, answer.headers.get('allow')]).toEqual([405, expect.stringContaining('POST')]);
});
