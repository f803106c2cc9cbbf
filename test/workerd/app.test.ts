import { describe, expect, it } from 'vitest';
import { call, callAsNode, makeTenant, problemOf } from './support/api.ts';

describe('the edge', () => {
  it('answers /health and /openapi.json without a key', async () => {
    expect((await call(undefined, '/health')).body).toEqual({ status: 'ok' });
    const { status, body } = await call(undefined, '/openapi.json');
    expect(status).toBe(200);
    expect(body.openapi).toBe('3.1.0');
    expect(Object.keys(body.paths)).toContain('/health');
  });

  it('refuses a missing, malformed and unknown key in the shape of a problem', async () => {
    for (const headers of [{}, { authorization: 'Basic abc' }, { authorization: 'Bearer nope' }]) {
      const answer = await call(undefined, '/v1/models', { headers });
      expect(problemOf(answer)).toEqual({ status: 401, code: 'invalid_api_key', param: null });
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      expect(answer.headers.get('x-request-id')).toBe(answer.body.request_id);
    }
  });

  it('keeps client keys and the node secret apart', async () => {
    const client = await makeTenant();
    expect((await client.call('/internal/nodes', { json: {} })).status).toBe(401);
    expect((await callAsNode('/v1/models')).status).toBe(401);
  });

  it('says which methods a path takes, and that an unknown path is unknown', async () => {
    const answer = await call(undefined, '/health', { method: 'DELETE' });
    expect(problemOf(answer)).toEqual({ status: 405, code: 'method_not_allowed', param: null });
    expect(answer.headers.get('allow')).toContain('GET');
    const client = await makeTenant();
    expect(problemOf(await client.call('/v1/nothing'))).toMatchObject({ status: 404, code: 'not_found' });
  });

  it('says of a path that a route names as it is what that route takes, not what a route of any name does', async () => {
    const client = await makeTenant();
    const answer = await client.call('/v1/adapters/import', { method: 'PATCH' });
    expect(problemOf(answer)).toEqual({ status: 405, code: 'method_not_allowed', param: null });
    expect(answer.headers.get('allow')).toBe('POST');
  });
});
