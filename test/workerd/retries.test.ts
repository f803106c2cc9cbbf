import { beforeAll, describe, expect, it } from 'vitest';
import { unixNow } from '../../edge/clock.ts';
import { claimKey } from '../../edge/db/idempotency.ts';
import { sha256Of } from '../../edge/hashing.ts';
import { AppError, ERROR_STATUS, type ErrorCode } from '../../shared/errors.ts';
import { EXAMPLES, submit } from './support/adapters.ts';
import { type Answer, type Client, db, makeTenant, problemOf } from './support/api.ts';
import { TestNode } from './support/nodes.ts';

/** When OpenAI's SDKs send a request again: what the server says, else by its status. */
function isSentAgain({ status, headers }: Answer): boolean {
  const said = headers.get('x-should-retry');
  if (said !== null) return said === 'true';
  return status === 408 || status === 409 || status === 429 || status >= 500;
}

describe('a client that retries by status, as OpenAI’s SDKs do', () => {
  let client: Client;
  let jobPath: string;

  beforeAll(async () => {
    client = await makeTenant();
    await new TestNode().register();
    const { body } = await client.call(`/v1/adapters/${await submit(client, 'young')}`);
    jobPath = `/v1/fine_tuning/jobs/${body.job_id}`;
  });

  const json = { name: 'again', examples: EXAMPLES };
  const headers = (key: string) => ({ 'idempotency-key': key });

  it('sends once what stays refused', async () => {
    const notReady = await client.call('/v1/adapters/young/warm', { method: 'POST' });
    expect([problemOf(notReady).code, isSentAgain(notReady)]).toEqual(['adapter_not_ready', false]);
    await client.call(`${jobPath}/cancel`, { method: 'POST' });
    const finished = await client.call(`${jobPath}/cancel`, { method: 'POST' });
    expect([problemOf(finished).code, isSentAgain(finished)]).toEqual(['job_finished', false]);
    await client.call('/v1/adapters', { json, headers: headers('taken') });
    const other = await client.call('/v1/adapters', {
      json: { ...json, seed: 7 },
      headers: headers('taken'),
    });
    expect([problemOf(other).code, isSentAgain(other)]).toEqual(['idempotency_conflict', false]);
  });

  it('sends again what waits for its first sending', async () => {
    const hash = await sha256Of(`POST /v1/adapters\n${JSON.stringify(json)}`);
    await claimKey(db, { tenant: client.tenant, key: 'under way' }, hash, unixNow());
    const answer = await client.call('/v1/adapters', { json, headers: headers('under way') });
    expect([problemOf(answer).code, isSentAgain(answer)]).toEqual(['idempotency_conflict', true]);
    expect(answer.headers.get('retry-after')).toBe('1');
  });

  it('sends no conflict again that is refused for good, whatever its code', () => {
    const codes = (Object.keys(ERROR_STATUS) as ErrorCode[]).filter((code) => ERROR_STATUS[code] === 409);
    expect(codes.length).toBeGreaterThan(3);
    expect(codes.filter((code) => !new AppError(code, '').isFinal)).toEqual([]);
    expect(new AppError('internal_error', '').isFinal).toBe(false);
    expect(new AppError('rate_limited', '').isFinal).toBe(false);
  });
});
