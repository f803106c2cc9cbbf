import { expect, it } from 'vitest';
import { retry } from '../../../gpu-node/daemon/retry.ts';

const policy = { attempts: 3, base: 0, max: 0 };

it('tries again until the action succeeds', async () => {
  let calls = 0;
  const action = async () => (++calls < 3 ? Promise.reject(new Error('not yet')) : 'done');
  expect(await retry(policy, action, () => true)).toBe('done');
});

it('gives up with the last error', async () => {
  let calls = 0;
  const action = () => Promise.reject(new Error(`failure ${++calls}`));
  await expect(retry(policy, action, () => true)).rejects.toThrow('failure 3');
});

it('does not repeat what cannot succeed, nor what was aborted', async () => {
  let calls = 0;
  const action = () => Promise.reject(new Error(`failure ${++calls}`));
  await expect(retry(policy, action, () => false)).rejects.toThrow('failure 1');
  await expect(retry(policy, action, () => true, AbortSignal.abort())).rejects.toThrow('failure 2');
});

it('gives up with the last error when it is aborted while it waits', async () => {
  const end = new AbortController();
  const action = () => {
    setImmediate(() => end.abort());
    return Promise.reject(new Error('failure 1'));
  };
  const patient = { attempts: 2, base: 1e6, max: 1e6 };
  await expect(retry(patient, action, () => true, end.signal)).rejects.toThrow('failure 1');
});
