import { describe, expect, it } from 'vitest';
import { askNode, Deadline } from '../../../edge/ask-node.ts';
import { type NodeClient, NodeTrouble } from '../../../edge/node-client.ts';
import { NodeTraffic } from '../../../edge/node-traffic.ts';
import type { LiveNode } from '../../../edge/pick-node.ts';
import type { NodeClassifyRequest, NodeClassifyResponse } from '../../../shared/api/nodes.ts';
import { AppError } from '../../../shared/errors.ts';

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
      { node: 'a', timeoutMs: 500, deadlineMs: 500 },
      { node: 'b', timeoutMs: 500, deadlineMs: 500 },
    ]);
    const alone = ask({}, [first]);
    await alone.run();
    expect(alone.attempts).toEqual([{ node: 'a', timeoutMs: 1000, deadlineMs: 1000 }]);
  });

  it('asks no node when its time is over', async () => {
    const { attempts, run } = ask({}, [first], 0, 0);
    await expect(run()).rejects.toMatchObject({ code: 'no_capacity' });
    expect(attempts).toEqual([]);
  });

  it('turns to a node whose breaker is open only where there is none else', async () => {
    const { attempts, traffic, run } = ask({ a: lost }, [first, second, third]);
    for (let i = 0; i < 3; i++) traffic.begin('b', 1, 1)('trouble');
    await run();
    expect(attempts.map(({ node }) => node)).toEqual(['a', 'c']);
  });
});
