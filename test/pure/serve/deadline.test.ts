import { expect, it } from 'vitest';
import { deadlineProblem } from '../../../gpu-node/serve/deadline.ts';

const progress = {
  milliseconds: 30_000,
  tokens: 131_072,
  tokensRun: 90_000,
  secondsPerToken: 1 / 3000,
  others: 0,
};

it('a request that takes longer than its caller waits is told the pace, how far it came, and what to change', () => {
  const { code, status, param, message } = deadlineProblem(progress);
  expect([code, status, param]).toEqual(['deadline_too_short', 422, 'x-timeout-ms']);
  expect(message).toContain('within 30000 ms: 90000 of their 131072 tokens were');
  expect(message).toContain('at the 3000 tokens a second that this node does they take some 44 s');
  expect(message).toContain('send fewer texts at once, or give more time by X-Timeout-Ms');
});

it('one that others kept waiting may come again when these are served', () => {
  const { code, status, param, message, retryAfter } = deadlineProblem({
    ...progress,
    tokens: 600,
    tokensRun: 0,
    others: 120_000,
  });
  expect([code, status, param, retryAfter]).toEqual(['no_capacity', 503, undefined, 40]);
  expect(message).toContain('0 of their 600 tokens were, beside 120000 tokens of others');
  const alone = deadlineProblem({ ...progress, tokens: 600, others: 0 });
  expect(alone.retryAfter).toBe(1);
});
