import { describe, expect, it } from 'vitest';
import type { LiveNode } from '../../../../edge/base-models.ts';
import { askNode } from '../../../../edge/nodes/ask-node.ts';
import { Deadline } from '../../../../edge/nodes/deadline.ts';
import { type NodeClient, NodeSilent, NodeTrouble } from '../../../../edge/nodes/node-client.ts';
import { NodeTraffic } from '../../../../edge/nodes/node-traffic.ts';
import type { NodeClassifyRequest, NodeClassifyResponse } from '../../../../shared/api/nodes.ts';
import { AppError } from '../../../../shared/errors.ts';

const [first, second, third] = ['a', 'b', 'c'].map(
  (id): LiveNode => ({ id, url: `http://${id}`, baseModels: [] }),
) as [LiveNode, LiveNode, LiveNode];
const ANSWER: NodeClassifyResponse = { labels: {}, rows: [], timing: { queue: 0, load: 0, run: 0 } };
const full = () => new AppError('rate_limited', 'full', { retryAfter: 3 });

interface Attempt {
  node: string;
  timeoutMs: number;
  deadlineMs: number | undefined;
}

/** Nodes of which some fail, each attempt taking `tookMs` of a clock that nothing else moves. */
function ask(failures: Record<string, () => Error>, candidates = [first, second], tookMs = 0, leftMs = 1000) {
  const time = { now: 0 };
  const attempts: Attempt[] = [];
  const client = {
    classify: async ({ id }: LiveNode, { deadline_ms }: NodeClassifyRequest, timeoutMs: number) => {
      attempts.push({ node: id, timeoutMs, deadlineMs: deadline_ms });
      time.now += Math.min(tookMs, timeoutMs);
      if (failures[id]) throw failures[id]();
      return ANSWER;
    },
  } as unknown as NodeClient;
  const traffic = new NodeTraffic(() => time.now);
  const body: NodeClassifyRequest = { rows: [{ bundle: 'f'.repeat(64), text: 'x' }] };
  const question = { node: candidates[0], candidates, bundle: 'x', baseModel: 'base', body };
  const run = () => askNode(client, traffic, question, new Deadline(leftMs, () => time.now));
  return { attempts, traffic, run };
}

const lost = () => new NodeTrouble('lost');

describe('a question to a node', () => {
  it('goes to another where the first is lost or full', async () => {
    for (const failure of [lost, full]) {
      const { attempts, run } = ask({ a: failure });
      expect(await run()).toBe(ANSWER);
      expect(attempts.map(({ node }) => node)).toEqual(['a', 'b']);
    }
  });

  it('goes to no third', async () => {
    const { attempts, run } = ask({ a: lost, b: lost, c: lost }, [first, second, third]);
    await expect(run()).rejects.toMatchObject({ code: 'no_capacity' });
    expect(attempts).toHaveLength(2);
  });

  it('says that the queue is full where both are', async () => {
    await expect(ask({ a: full, b: full }).run()).rejects.toMatchObject({
      code: 'rate_limited',
      retryAfter: 3,
    });
    await expect(ask({ a: full }, [first]).run()).rejects.toMatchObject({ code: 'rate_limited' });
  });

  it('is not repeated where it is what the node refuses', async () => {
    const { attempts, run } = ask({ a: () => new AppError('adapter_stale', 'changed') });
    await expect(run()).rejects.toMatchObject({ code: 'adapter_stale' });
    expect(attempts).toHaveLength(1);
  });

  it('leaves half of its time to another node, and all of what is left to the last', async () => {
    const { attempts, run } = ask({ a: lost }, [first, second], 9999);
    await run();
    expect(attempts).toEqual([
      { node: 'a', timeoutMs: 500, deadlineMs: 450 },
      { node: 'b', timeoutMs: 500, deadlineMs: 450 },
    ]);
    const alone = ask({}, [first]);
    await alone.run();
    expect(alone.attempts).toEqual([{ node: 'a', timeoutMs: 1000, deadlineMs: 900 }]);
  });

  it('ends at the node before the edge stops to listen, so that the node can say what happened', async () => {
    const { attempts, run } = ask({}, [first], 0, 30_000);
    await run();
    expect(attempts).toEqual([{ node: 'a', timeoutMs: 30_000, deadlineMs: 29_500 }]);
  });

  it('asks no node when its time is over', async () => {
    const { attempts, run } = ask({}, [first], 0, 0);
    await expect(run()).rejects.toMatchObject({ code: 'no_capacity' });
    expect(attempts).toEqual([]);
  });

  it.each(['no_capacity', 'model_not_found'] as const)(
    'goes to another where a node says %s of itself, which is not held against it',
    async (code) => {
      const { attempts, traffic, run } = ask({ a: () => new AppError(code, 'not here, not now') });
      for (let i = 0; i < 9; i++) expect(await run()).toBe(ANSWER);
      expect(attempts.slice(0, 2).map(({ node }) => node)).toEqual(['a', 'b']);
      expect(traffic.isOpen('a')).toBe(false);
    },
  );

  it('says what a node has said of itself where no other answers', async () => {
    const busy = () => new AppError('no_capacity', 'all sessions are in use', { retryAfter: 7 });
    const told = { code: 'no_capacity', message: 'all sessions are in use', retryAfter: 7 };
    await expect(ask({ a: busy, b: lost }).run()).rejects.toMatchObject(told);
    await expect(ask({ a: lost, b: busy }).run()).rejects.toMatchObject(told);
    const gone = () => new AppError('model_not_found', 'this node serves other');
    await expect(ask({ a: gone }, [first]).run()).rejects.toMatchObject({
      code: 'no_capacity',
      message: 'No node alive serves the base model base; try again shortly.',
    });
  });

  it.each(['invalid_adapter', 'deadline_too_short'] as const)(
    'is not repeated where the node says %s, nor held against it',
    async (code) => {
      const { attempts, traffic, run } = ask({ a: () => new AppError(code, 'why') });
      for (let i = 0; i < 9; i++) await expect(run()).rejects.toMatchObject({ code, message: 'why' });
      expect(new Set(attempts.map(({ node }) => node))).toEqual(new Set(['a']));
      expect(traffic.isOpen('a')).toBe(false);
    },
  );

  it('holds silence against a node that had a fair time to answer, and no other', async () => {
    const silent = () => new NodeSilent('silent');
    const hasty = ask({ a: silent }, [first], 0, 100);
    const patient = ask({ a: silent }, [first], 0, 30_000);
    for (let i = 0; i < 3; i++) {
      await expect(hasty.run()).rejects.toMatchObject({ code: 'no_capacity' });
      await expect(patient.run()).rejects.toMatchObject({ code: 'no_capacity' });
    }
    expect([hasty.traffic.isOpen('a'), patient.traffic.isOpen('a')]).toEqual([false, true]);
  });

  it('turns to a node whose breaker is open only where there is none else', async () => {
    const { attempts, traffic, run } = ask({ a: lost }, [first, second, third]);
    for (let i = 0; i < 3; i++) traffic.begin('b', 1, 1)('trouble');
    await run();
    expect(attempts.map(({ node }) => node)).toEqual(['a', 'c']);
  });
});
