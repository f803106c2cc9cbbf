import { readdir } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AppError, type ErrorCode, problem } from '../../shared/errors.ts';
import { peftRequest } from '../../shared/peft-config.ts';
import { startServer } from '../support/http-server.ts';
import { WeftCli } from '../support/weft-cli.ts';

const PAGE = { object: 'list', data: [], has_more: false, first_id: null, last_id: null };

let cli: WeftCli;
beforeAll(async () => {
  cli = await WeftCli.build();
});
afterAll(() => cli[Symbol.asyncDispose]());

type Answer = (response: ServerResponse) => void;
const json = (status: number, body: unknown, headers: Record<string, string> = {}): Answer => {
  return (response) => response.writeHead(status, headers).end(JSON.stringify(body));
};
const refusal = (code: ErrorCode, headers: Record<string, string> = {}): Answer => {
  const error = new AppError(code, 'The server says so.');
  return json(error.status, problem(error, 'req_1'), headers);
};

/** Runs a command against a server that gives these answers, the last one again and again. */
async function against(answers: Answer[], args: string[], env: Record<string, string> = {}) {
  const asked: string[] = [];
  await using server = await startServer((request, response) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)]!;
    asked.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    request.resume().once('end', () => answer(response));
  });
  const ended = await cli.run([...args, '--json'], {
    env: { WEFT_URL: server.url, WEFT_API_KEY: 'a-key', ...env },
  });
  return { exit: ended.exit, json: ended.json, asked };
}

describe('a command whose server is in trouble', () => {
  it('tries what is safe again, when it is told to', async () => {
    const answers = [
      refusal('rate_limited', { 'retry-after': '0' }),
      refusal('no_capacity'),
      json(200, PAGE),
    ];
    const { exit, json: page, asked } = await against(answers, ['jobs', 'list']);
    expect([exit, page]).toEqual([0, PAGE]);
    expect(asked).toEqual(Array(3).fill('GET /v1/fine_tuning/jobs?limit=20 Bearer a-key'));
  });

  it.each([
    ['no_capacity', 3, 503],
    ['internal_error', 3, 500],
    ['queue_full', 1, 429],
  ] as const)(
    '%s: gives up after %i attempts, with the exit code of what may pass',
    async (code, attempts, status) => {
      const answer = refusal(code, attempts === 1 ? { 'retry-after': '600' } : {});
      const { exit, json: error, asked } = await against([answer], ['jobs', 'list']);
      expect([exit, asked.length]).toEqual([3, attempts]);
      expect(error).toMatchObject({ status, code, message: 'The server says so.' });
      if (attempts === 1) expect(error.retry_after).toBe(600);
    },
  );

  it('does not repeat what would then be done twice', async () => {
    const { exit, asked } = await against([refusal('no_capacity')], ['jobs', 'cancel', 'ftjob_1']);
    expect([exit, asked.length]).toEqual([3, 1]);
  });

  it('takes a server at its word that trying again is vain', async () => {
    const answer = refusal('training_failed', { 'x-should-retry': 'false' });
    const { exit, asked } = await against([answer], ['jobs', 'list']);
    expect([exit, asked.length]).toEqual([1, 1]);
  });

  it("says that an answer is not in Weft's words", async () => {
    const html: Answer = (response) => response.writeHead(404).end('<h1>nginx</h1>');
    const { exit, json: error } = await against([html], ['jobs', 'list']);
    expect(exit).toBe(1);
    expect(error).toMatchObject({ status: 404, code: 'unexpected_answer', next: ['weft login'] });
    const odd = await against([json(200, { data: 1 })], ['jobs', 'list']);
    expect([odd.exit, odd.json.code]).toEqual([1, 'unexpected_answer']);
  });

  it('leaves nothing of an export that arrives broken', async () => {
    const files = [{ name: 'weft.json', bytes: 2, sha256: '0'.repeat(64) }];
    const adapter = {
      object: 'adapter',
      id: 'spam@1',
      name: 'spam',
      version: 1,
      status: 'ready',
      base_model: 'a',
      base_precision: 'auto',
      method: peftRequest.parse({ type: 'auto' }),
      hyperparameters: null,
      labels: null,
      metrics: null,
      size_bytes: 2,
      trained_parameters: null,
      sha256: null,
      files,
      job_id: null,
      seed: null,
      metadata: {},
      created_at: 0,
      ready_at: 0,
      error: null,
    };
    const { exit, json: error } = await against(
      [json(200, adapter), json(200, {})],
      ['adapters', 'export', 'spam'],
    );
    expect([exit, error.code]).toEqual([3, 'connection_failed']);
    expect(error.message).toBe("weft.json arrived broken: its hash is not the adapter's");
    expect(await readdir(cli.folder)).not.toContain('spam-1');
  });

  it('takes its key nowhere else', async () => {
    const other: string[] = [];
    await using elsewhere = await startServer((request, response) => {
      other.push(String(request.headers.authorization));
      response.end();
    });
    const redirect: Answer = (response) => response.writeHead(307, { location: elsewhere.url }).end();
    const { exit } = await against([redirect], ['jobs', 'list']);
    expect([exit, other]).toEqual([1, []]);
  });

  it('lets nothing of an answer act on the terminal', async () => {
    const error = new AppError('not_found', 'no \u001b[2Jscreen\u202e');
    await using server = await startServer((_, response) => {
      response.writeHead(404).end(JSON.stringify(problem(error, 'req_1')));
    });
    const ended = await cli.run(['jobs', 'list'], { env: { WEFT_URL: server.url, WEFT_API_KEY: 'a-key' } });
    expect(ended.stderr).toBe('error: no screen \n');
  });
});
