import { describe, expect, it } from 'vitest';
import { Random } from '../../../gpu-node/random.ts';
import { Admission, estimateTokens, type Ticket } from '../../../gpu-node/serve/admission.ts';
import type { AppError } from '../../../shared/errors.ts';

const load = (tokens: number) => ({ rows: 1, tokens, chars: tokens });
const enter = (queue: Admission, tenant: string, tokens: number) => queue.enter(tenant, load(tokens), 0.01);

function refusal(action: () => unknown): AppError {
  try {
    action();
  } catch (error) {
    return error as AppError;
  }
  throw new Error('nothing was refused');
}

describe('Admission', () => {
  it('gives a tenant that is alone half of the queue', () => {
    const queue = new Admission(1000);
    enter(queue, 'a', 400);
    enter(queue, 'a', 100);
    expect(refusal(() => enter(queue, 'a', 1)).code).toBe('rate_limited');
  });

  it('always has room for a tenant that has nothing there', () => {
    const queue = new Admission(1000);
    for (let i = 0; i < 500; i++) enter(queue, 'flood', 1);
    enter(queue, 'b', 250);
    enter(queue, 'c', 125);
    expect(() => enter(queue, 'flood', 1)).toThrow('the queue has no room');
    enter(queue, 'd', 60);
  });

  it('shares itself evenly among tenants that all ask for more than there is', () => {
    const random = new Random(3, 'tenants');
    const queue = new Admission(4000);
    const got = new Map<string, number>();
    const inside: (() => void)[] = [];
    for (let i = 0; i < 20_000; i++) {
      const tenant = 'abc'[random.below(3)]!;
      try {
        const { leave } = enter(queue, tenant, 10);
        got.set(tenant, (got.get(tenant) ?? 0) + 10);
        inside.push(() => {
          got.set(tenant, got.get(tenant)! - 10);
          leave();
        });
      } catch {
        inside.splice(random.below(inside.length), 1)[0]!();
      }
    }
    for (const tokens of got.values()) expect(Math.abs(tokens - 1000)).toBeLessThanOrEqual(100);
  });

  it('says how long what waits will take, between a second and a minute', () => {
    const queue = new Admission(100_000);
    const wait = () => refusal(() => enter(queue, 'a', 90_000)).retryAfter;
    const tickets: Ticket[] = [];
    expect(wait()).toBe(1);
    tickets.push(enter(queue, 'b', 1234));
    expect(wait()).toBe(13);
    tickets.push(enter(queue, 'c', 30_000));
    expect(wait()).toBe(60);
    for (const { leave } of tickets) leave();
    expect(wait()).toBe(1);
  });

  it('counts what texts turned out to be once they are tokenized', () => {
    const queue = new Admission(1000);
    const ticket = enter(queue, 'a', 500);
    ticket.correct(20);
    expect(queue.tokens).toBe(20);
    enter(queue, 'a', 300);
    ticket.leave();
    expect([queue.rows, queue.tokens]).toEqual([1, 300]);
  });

  it('bounds the characters of all texts, however few tokens they will be cut to', () => {
    const queue = new Admission(1000);
    const large = { rows: 1, tokens: 1, chars: 30 * 1024 * 1024 };
    queue.enter('a', large, 0.01);
    expect(() => queue.enter('b', large, 0.01)).toThrow('the queue has no room');
  });
});

it('a text is estimated by its length, up to what it will be cut to, and by the placeholders before it', () => {
  expect(estimateTokens('x')).toBe(3);
  expect(estimateTokens('x'.repeat(400))).toBe(102);
  expect(estimateTokens('x'.repeat(400), { maxLength: 64, placeholders: 0 })).toBe(64);
  expect(estimateTokens('x'.repeat(400), { maxLength: 64, placeholders: 20 })).toBe(84);
  expect(estimateTokens('x', { maxLength: 64, placeholders: 20 })).toBe(23);
});
