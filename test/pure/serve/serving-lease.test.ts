import { describe, expect, it } from 'vitest';
import { ServingLease } from '../../../gpu-node/serve/serving-lease.ts';

const STATE = { lease_seconds: 10, head: 0, changes: [] };
const spam = (as_of: number) => ({ tenant: 'a', names: [{ name: 'spam', as_of }] });

function leaseAt(time = { now: 1000 }) {
  return { time, lease: new ServingLease(() => time.now) };
}

describe('a serving lease', () => {
  it('is not there before the edge has answered', () => {
    const { lease } = leaseAt();
    expect(() => lease.admit(spam(0))).toThrow(
      expect.objectContaining({ code: 'no_capacity', retryAfter: 1 }),
    );
    expect(lease.head).toBeNull();
  });

  it('counts from when the call was sent, not from when it was answered', () => {
    const { time, lease } = leaseAt();
    const sentAt = lease.now();
    time.now += 4000;
    lease.renew(sentAt, STATE);
    time.now += 5999;
    lease.admit(spam(0));
    time.now += 1;
    expect(() => lease.admit(spam(0))).toThrow('no serving lease');
  });

  it('ends when the node leaves', () => {
    const { lease } = leaseAt();
    lease.renew(1000, STATE);
    lease.end();
    expect(() => lease.admit(spam(0))).toThrow('no serving lease');
  });

  it('is not shortened by an answer to an earlier call', () => {
    const { time, lease } = leaseAt();
    lease.renew(1000, STATE);
    lease.renew(500, STATE);
    time.now = 10_999;
    lease.admit(spam(0));
  });
});

describe('what the node knows of names', () => {
  it('refuses what was resolved before a change of its name, naming it', () => {
    const { lease } = leaseAt();
    lease.renew(1000, STATE);
    lease.learn([{ tenant: 'a', name: 'spam', seq: 7 }]);
    lease.admit(spam(7));
    lease.admit({ tenant: 'b', names: [{ name: 'spam', as_of: 0 }] });
    const names = [
      { name: 'topic', as_of: 0 },
      { name: 'spam', as_of: 6 },
    ];
    expect(() => lease.admit({ tenant: 'a', names })).toThrow(
      expect.objectContaining({ code: 'adapter_stale', param: 'names.1' }),
    );
  });

  it('never unlearns a change, in whatever order it hears of them', () => {
    const { lease } = leaseAt();
    lease.learn([{ tenant: 'a', name: 'spam', seq: 9 }]);
    const changes = [{ tenant: 'a', name: 'spam', seq: 4 }];
    lease.renew(1000, { ...STATE, head: 5, changes });
    lease.renew(1000, { ...STATE, head: 6, changes: null });
    expect(() => lease.admit(spam(8))).toThrow('resolves anew since change 9');
    expect(lease.head).toBe(6);
  });

  it('refuses all that was resolved before the head where it lacks changes', () => {
    const { lease } = leaseAt();
    lease.renew(1000, { ...STATE, head: 5, changes: null });
    expect(() => lease.admit(spam(4))).toThrow('since change 5');
    lease.admit(spam(5));
  });

  it('is bounded: what it forgets it refuses under every name', () => {
    const { lease } = leaseAt();
    lease.renew(1000, STATE);
    const changes = Array.from({ length: 10_001 }, (_, i) => ({ tenant: 'a', name: `n${i}`, seq: i + 1 }));
    lease.learn(changes);
    const of = (name: string, as_of: number) => ({ tenant: 'a', names: [{ name, as_of }] });
    expect(() => lease.admit(of('n0', 0))).toThrow('since change 1');
    lease.admit(of('n0', 1));
    lease.admit(of('other', 1));
    expect(() => lease.admit(of('n10000', 10_000))).toThrow('since change 10001');
  });
});
