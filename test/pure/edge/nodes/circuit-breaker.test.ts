import { expect, it } from 'vitest';
import { CircuitBreaker } from '../../../../edge/nodes/circuit-breaker.ts';

function opened() {
  const time = { now: 0 };
  const breaker = new CircuitBreaker(() => time.now);
  for (let i = 0; i < 3; i++) breaker.fail();
  return { time, breaker };
}

it('opens after three failures in a row', () => {
  const breaker = new CircuitBreaker(() => 0);
  for (const outcome of ['fail', 'fail', 'succeed', 'fail', 'fail'] as const) breaker[outcome]();
  expect(breaker.state).toBe('closed');
  breaker.fail();
  expect(breaker.state).toBe('open');
});

it('lets one probe through after five seconds, and the next no sooner than five later', () => {
  const { time, breaker } = opened();
  time.now = 4999;
  expect(breaker.state).toBe('open');
  time.now = 5000;
  expect(breaker.state).toBe('half-open');
  breaker.begin();
  expect(breaker.state).toBe('open');
  time.now = 10_000;
  expect(breaker.state).toBe('half-open');
});

it('closes when a probe succeeds, and opens again when it fails', () => {
  const { time, breaker } = opened();
  time.now = 5000;
  breaker.begin();
  time.now = 6000;
  breaker.fail();
  time.now = 10_999;
  expect(breaker.state).toBe('open');
  time.now = 11_000;
  breaker.begin();
  breaker.succeed();
  expect(breaker.state).toBe('closed');
  breaker.fail();
  expect(breaker.state).toBe('closed');
});
