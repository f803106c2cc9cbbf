import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../gpu-node/random.ts';
import { type LocalEdge, startEdge } from '../../scripts/local-edge.ts';
import { AppError, problem } from '../../shared/errors.ts';
import { EdgeProxy, type PassingCall } from '../support/edge-proxy.ts';
import { NodeDaemon } from '../support/node-daemon.ts';
import { toyTexts } from '../support/toy-task.ts';

const SECRET = 'secret-of-the-node';
const KEY = 'key-of-a-client';
let folder: string;
let edge: LocalEdge;
let proxy: EdgeProxy;
/** SHA-256 of the weights that a training without a stop ends in. */
let expected: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft survive-'));
  edge = await startEdge({ stateFolder: join(folder, 'edge'), port: 0, nodeSecret: SECRET, key: KEY });
  proxy = await EdgeProxy.start(edge.url);
  await using daemon = startDaemon();
  await daemon.said('registered');
  const { id, job } = await train('whole');
  expect(await endOf(job)).toMatchObject({ status: 'succeeded', attempt: 1 });
  expected = await sha256Of(id);
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await edge.stop();
  await rm(folder, { recursive: true });
});

/** A daemon that saves training's state after each step. */
function startDaemon(home = 'home'): NodeDaemon {
  return new NodeDaemon({
    WEFT_EDGE_URL: proxy.url,
    WEFT_NODE_SECRET: SECRET,
    WEFT_HOME: join(folder, home),
    WEFT_CHECKPOINT_SECONDS: '0',
  });
}

async function call(path: string, body?: unknown) {
  const response = await fetch(edge.url + path, {
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' },
    ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what tests assert
  return { status: response.status, body: (await response.json()) as any };
}

const EXAMPLES = toyTexts(60, 1);

/** Queues a job; all of them train the same, in a precision that no measurement of a start decides. */
async function train(name: string): Promise<{ id: string; job: string }> {
  const hyperparameters = { epochs: 5, batch_size: 1, max_length: 16 };
  const method = { type: 'lora', base_precision: 'fp32' };
  const { status, body } = await call('/v1/adapters', { name, examples: EXAMPLES, method, hyperparameters });
  expect(status, JSON.stringify(body)).toBe(202);
  return { id: body.id, job: body.job_id };
}

const jobOf = async (job: string) => (await call(`/v1/fine_tuning/jobs/${job}`)).body;
const sha256Of = async (id: string) => (await call(`/v1/adapters/${id}`)).body.sha256;
const isOpen = ({ status }: { status: string }) => ['queued', 'running'].includes(status);

/** The job when it has ended; the test's own time is the limit. */
async function endOf(job: string) {
  for (;;) {
    const now = await jobOf(job);
    if (!isOpen(now)) return now;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function messagesOf(job: string): Promise<string[]> {
  const { body } = await call(`/v1/fine_tuning/jobs/${job}/events?limit=100`);
  return body.data.map(({ message }: { message: string }) => message);
}

/** Resolves at the moment of a call that `matches` for the `count`-th time, after `act`. */
function atCall(matches: (call: PassingCall) => boolean, count: number, act: () => void): Promise<void> {
  let left = count;
  return new Promise((resolve) => {
    proxy.onCall = (passing) => {
      if (matches(passing) && --left === 0) {
        act();
        resolve();
      }
      return undefined;
    };
  });
}

const isCall = (method: string, path: RegExp, when: PassingCall['when']) => (call: PassingCall) =>
  call.method === method && path.test(call.path) && call.when === when;
/** A checkpoint is on its way to the edge, or there. */
const isSent = isCall('PUT', /\/checkpoint$/, 'begins');
const isKept = isCall('PUT', /\/checkpoint$/, 'is done');

describe('a job', () => {
  it('whose daemon is killed goes on where it was, and ends in the same bytes', async () => {
    await using first = startDaemon();
    const killed = atCall(isKept, 2, () => first.signal('SIGKILL'));
    const { id, job } = await train('killed');
    await killed;
    await using _second = startDaemon();
    expect(await endOf(job)).toMatchObject({ status: 'succeeded', attempt: 2 });
    expect(await messagesOf(job)).toContainEqual(
      expect.stringMatching(/^goes on from step \d+ of epoch \d+, from a checkpoint of attempt 1$/),
    );
    expect(await sha256Of(id)).toBe(expected);
  });

  it('whose daemon drains goes on at another, at no cost, and ends in the same bytes', async () => {
    await using first = startDaemon();
    const drained = atCall(isKept, 2, () => first.signal('SIGTERM'));
    const { id, job } = await train('drained');
    await drained;
    expect(await first.exited).toEqual([0, null]);
    expect(await jobOf(job)).toMatchObject({ status: 'queued', attempt: 1 });
    const before = await messagesOf(job);
    expect(before).toContain('the node is shutting down');
    await using _other = startDaemon('other home');
    expect(await endOf(job)).toMatchObject({ status: 'succeeded', attempt: 2 });
    expect(await messagesOf(job)).toContainEqual(
      expect.stringMatching(/^goes on from step \d+ of epoch \d+, from a checkpoint of attempt 1$/),
    );
    expect(await sha256Of(id)).toBe(expected);
  });
});

interface Moment {
  matches(call: PassingCall): boolean;
  /** How often it comes in an attempt, at least. */
  often: number;
  /** Whether there is a training process then. */
  trains?: boolean;
}

const isBeat = isCall('POST', /\/heartbeat$/, 'is done');

/** Moments of an attempt, by the call that tells of them. */
const MOMENTS: Record<string, Moment> = {
  'a download begins': { matches: isCall('GET', /\/(training|checkpoint)$/, 'begins'), often: 1 },
  'a download is done': { matches: isCall('GET', /\/(training|checkpoint)$/, 'is done'), often: 1 },
  'a step': { matches: (call) => isBeat(call) && call.body.includes('"step":'), often: 1, trains: true },
  'a checkpoint is sent': { matches: isSent, often: 4, trains: true },
  'a checkpoint is kept': { matches: isKept, often: 4, trains: true },
  'the adapter is sent': { matches: isCall('PUT', /\/adapter\//, 'begins'), often: 3 },
  'the completion is sent': { matches: isCall('POST', /\/complete$/, 'begins'), often: 1 },
  'the completion is done': { matches: isCall('POST', /\/complete$/, 'is done'), often: 1 },
};
const KILLS = 20;
/** A third lost attempt would be the job's last. */
const KILLS_OF_A_JOB = 2;

function childrenOf(pid: number): number[] {
  try {
    return execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .map(Number);
  } catch {
    // It says so by its exit code that there are none.
    return [];
  }
}

describe('a job whose checkpoints cannot be sent', () => {
  it('is trained all the same, and says so once', async () => {
    const refusal = problem(new AppError('payload_too_large', 'too large'), 'r');
    proxy.onCall = (passing) =>
      isSent(passing) ? Response.json(refusal, { status: refusal.status }) : undefined;
    await using _daemon = startDaemon();
    const { id, job } = await train('unsent');
    expect(await endOf(job)).toMatchObject({ status: 'succeeded', attempt: 1 });
    const said = (await messagesOf(job)).filter((message) => message.includes('could not be sent'));
    expect(said).toEqual(['the state of the training could not be sent to the edge']);
    expect(await sha256Of(id)).toBe(expected);
  });

  it('is handed back all the same when the daemon drains', async () => {
    await using daemon = startDaemon();
    const held = new Promise<void>((resolve) => {
      proxy.onCall = (passing) => {
        if (!isSent(passing)) return undefined;
        resolve();
        return new Promise(() => {});
      };
    });
    const { id, job } = await train('held');
    await held;
    daemon.signal('SIGTERM');
    expect(await daemon.exited).toEqual([0, null]);
    expect(daemon.lines.map(({ message }) => message)).not.toContain('the drain took too long');
    expect(await jobOf(job)).toMatchObject({ status: 'queued', attempt: 1 });
    proxy.onCall = () => undefined;
    await using _other = startDaemon();
    expect(await endOf(job)).toMatchObject({ status: 'succeeded', attempt: 2 });
    expect(await sha256Of(id)).toBe(expected);
  });
});

describe('a job whose processes are killed at random moments', () => {
  const random = new Random(7, 'kills');
  const kills: string[] = [];
  let bag: string[] = [];

  /** Kills the daemon or its training process at a moment of a job that is drawn; gives whom. */
  async function killOnce(daemon: NodeDaemon, job: string): Promise<'daemon' | 'trainer'> {
    if (bag.length === 0) bag = random.shuffle(Object.keys(MOMENTS));
    const name = bag.pop()!;
    const { matches, often, trains } = MOMENTS[name]!;
    const count = 1 + random.below(often);
    const drawn = trains && random.below(2) === 0 ? 'trainer' : 'daemon';
    let victim: 'daemon' | 'trainer' = 'daemon';
    const ofJob = (call: PassingCall) => (call.path + call.body).includes(job) && matches(call);
    await atCall(ofJob, count, () => {
      const [trainer] = drawn === 'trainer' ? childrenOf(daemon.pid) : [];
      victim = trainer === undefined ? 'daemon' : 'trainer';
      process.kill(trainer ?? daemon.pid, 'SIGKILL');
      kills.push(`${victim} when ${name} (${count})`);
    });
    return victim;
  }

  it('ends right each time', { timeout: 300_000 }, async () => {
    let daemon = startDaemon();
    // One waits while another runs, so that the daemon takes it at once.
    let next = await train('random');
    while (kills.length < KILLS) {
      const { id, job } = next;
      next = await train('random');
      const ended = endOf(job);
      for (let i = 0; i < KILLS_OF_A_JOB; i++) {
        const victim = await Promise.race([killOnce(daemon, job), ended.then(() => 'none')]);
        if (victim !== 'daemon') continue;
        await daemon.exited;
        daemon = startDaemon();
      }
      proxy.onCall = () => undefined;
      expect(await ended, kills.join(', ')).toMatchObject({ status: 'succeeded', error: null });
      expect(await sha256Of(id), kills.join(', ')).toBe(expected);
    }
    expect(await endOf(next.job)).toMatchObject({ status: 'succeeded', attempt: 1 });
    await daemon[Symbol.asyncDispose]();
  });
});
