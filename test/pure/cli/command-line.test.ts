import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { assign, readAssignment } from '../../../cli/assignments.ts';
import { requestOf } from '../../../cli/commands/train.ts';
import { addressOf, configFile, connectionOf, writeLogin } from '../../../cli/connection.ts';
import { Failure } from '../../../cli/failure.ts';
import { run } from '../../../cli/program.ts';
import { waitAfter } from '../../../cli/retry.ts';
import { inBatches } from '../../../cli/text-batches.ts';
import { formatOf, type RowFormat, readTexts } from '../../../cli/text-rows.ts';

const version = (path: string) => JSON.parse(readFileSync(path, 'utf8')).version;

/** Runs a command line in this process; nothing is there to be asked or reached. */
async function weft(...argv: string[]) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const world = {
    stdin: new PassThrough(),
    stdout,
    stderr,
    env: { XDG_CONFIG_HOME: '/nonexistent', WEFT_URL: 'http://127.0.0.1:9' },
    signal: new AbortController().signal,
    startScript: undefined,
  };
  const exit = await run(argv, world);
  const text = (stream: PassThrough) => String(stream.read() ?? '');
  return { exit, stdout: text(stdout), stderr: text(stderr) };
}

describe('a command line', () => {
  it('says its version, which the platform shares', async () => {
    expect(version('cli/package.json')).toBe(version('package.json'));
    expect(await weft('--version')).toEqual({ exit: 0, stdout: `${version('package.json')}\n`, stderr: '' });
  });

  it.each([
    [[], 'Say what weft shall do.', 'weft --help'],
    [['jobs'], 'Say what weft jobs shall do.', 'weft jobs --help'],
    [['jobs', 'lst'], "unknown command 'lst'\n(Did you mean list?)", 'weft capabilities'],
    [
      ['jobs', 'list', '--limt', '3'],
      "unknown option '--limt'\n(Did you mean --limit?)",
      'weft capabilities',
    ],
    [['jobs', 'list', '--limit', '0'], /argument '0' is invalid. It must be 1 to 100./, 'weft capabilities'],
    [['jobs', 'show'], "missing required argument 'id'", 'weft capabilities'],
    [['jobs', 'show', 'job_1'], /It must be a job id/, 'weft capabilities'],
    [['files', 'check', 'a', 'b'], /too many arguments/, 'weft capabilities'],
  ])('%j is a mistake of usage, in JSON too', async (argv, message, next) => {
    const { exit, stdout } = await weft(...argv, '--json');
    expect(exit).toBe(2);
    expect(JSON.parse(stdout)).toEqual({
      status: null,
      code: 'usage',
      message: typeof message === 'string' ? message : expect.stringMatching(message),
      next: [next],
    });
    const shown = await weft(...argv);
    expect(shown).toMatchObject({ exit: 2, stdout: '' });
    expect(shown.stderr).toMatch(/^error: /);
  });

  it('is explained with its exit codes', async () => {
    const { exit, stdout } = await weft('jobs', 'follow', '--help');
    expect(exit).toBe(0);
    expect(stdout).toContain('Usage: weft jobs follow [options] <id>');
    expect(stdout).toContain('--json');
    expect(stdout).toContain(
      'Exit codes: 0 done, 1 failed, 2 usage, 3 transient, 4 input needed, 130 interrupted.',
    );
  });

  it('is described for programs by the table that it is parsed by', async () => {
    const { exit, stdout } = await weft('capabilities', '--json');
    const { commands, flags } = JSON.parse(stdout);
    expect(exit).toBe(0);
    expect(flags.map(({ flag }: { flag: string }) => flag)).toEqual([
      '--version',
      '--json',
      '--url',
      '--yes',
    ]);
    expect(commands.find(({ command }: { command: string }) => command === 'jobs list')).toEqual({
      command: 'jobs list',
      description: 'List jobs, newest first',
      arguments: [],
      flags: [
        { flag: '--limit', description: 'most entries, 1 to 100', value: 'required', default: 20 },
        { flag: '--after', description: expect.any(String), value: 'required' },
      ],
      exits: { done: 0, failed: 1, usage: 2, transient: 3, input_needed: 4, interrupted: 130 },
    });
  });
});

describe('a training request', () => {
  const set = (...given: string[]) => ({ set: given.map(readAssignment) });

  it('has the fields that were set, JSON where they are any', () => {
    const options = {
      epochs: 3,
      method: 'lora',
      ...set('hyperparameters.max_length=64', 'method.r=16', 'metadata.team=mail'),
    };
    expect(requestOf('spam', 'file_1', undefined, options)).toEqual({
      name: 'spam',
      training_file: 'file_1',
      method: { type: 'lora', r: 16 },
      hyperparameters: { epochs: 3, max_length: 64 },
      metadata: { team: 'mail' },
    });
  });

  it('is refused with the field that is wrong', () => {
    const wrong = () => requestOf('spam', 'file_1', undefined, set('hyperparameters.epochs=0'));
    expect(wrong).toThrow(expect.objectContaining({ exit: 'usage', param: 'hyperparameters.epochs' }));
    expect(() => requestOf('spam', 'file_1', undefined, set('method={"type":"lora","q":1}'))).toThrow(
      Failure,
    );
  });

  it('never reaches an object of the language', () => {
    for (const given of ['__proto__.x=1', 'a.__proto__=1', 'a', '=1', 'A.b=1']) {
      expect(() => readAssignment(given), given).toThrow('FIELD=VALUE');
    }
    const body = {};
    assign(body, { path: ['constructor', 'name'], value: 1 });
    expect(Object.name).toBe('Object');
  });
});

describe('a transient failure', () => {
  const failure = (exit: 'transient' | 'failed', retryAfter?: number) =>
    new Failure(exit, 'no_capacity', 'busy', { retryAfter });

  it('is tried again twice, later each time, or when the server says', () => {
    const waits = [1, 2, 3].map((attempt) => waitAfter(failure('transient'), attempt));
    expect(waits).toEqual([500, 1000, undefined]);
    expect(waitAfter(failure('transient', 2), 1)).toBe(2000);
  });

  it('is left to the user where the wait is long, and where it would not help', () => {
    expect([waitAfter(failure('transient', 60), 1), waitAfter(failure('failed'), 1)]).toEqual([
      undefined,
      undefined,
    ]);
  });
});

describe('the address and the key', () => {
  it('come from the option, the environment, the login, and this machine, in this order', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'weft-config-'));
    try {
      const env = { XDG_CONFIG_HOME: folder };
      expect(await connectionOf(env, undefined)).toEqual({ url: 'http://127.0.0.1:8787', key: 'weft-dev' });
      await writeLogin(env, { url: 'https://weft.example', key: 'kept' });
      expect(await connectionOf(env, undefined)).toEqual({ url: 'https://weft.example', key: 'kept' });
      const given = { ...env, WEFT_URL: 'https://other.example/', WEFT_API_KEY: 'given' };
      expect(await connectionOf(given, undefined)).toEqual({ url: 'https://other.example', key: 'given' });
      expect(await addressOf(given, 'http://option.example')).toBe('http://option.example');
      await expect(connectionOf(env, 'https://weft.example.attacker')).rejects.toMatchObject({
        exit: 'input_needed',
      });
      await writeFile(configFile(env), '{"url": "https://weft.example", "key": "a secret');
      await expect(connectionOf(env, undefined)).rejects.toThrow(
        /config.json is not what `weft login` writes$/,
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('are refused where they could not be sent, without showing the key', async () => {
    const env = { XDG_CONFIG_HOME: '/nonexistent' };
    for (const url of ['weft.example', 'ftp://weft.example', 'https://name:password@weft.example']) {
      await expect(connectionOf(env, url), url).rejects.toMatchObject({ exit: 'usage' });
    }
    const bad = connectionOf({ ...env, WEFT_API_KEY: 'secret\n' }, undefined);
    await expect(bad).rejects.toThrow(/^WEFT_API_KEY must have [^\n]*$/);
  });
});

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

describe('texts to classify', () => {
  async function* bytes(text: string) {
    for (const letter of text) yield new TextEncoder().encode(letter);
  }
  const read = async (text: string, format: RowFormat) =>
    (await all(readTexts(bytes(text), format))).map(({ columns }) => columns);

  it('are told by the name of their file', () => {
    expect(['a.jsonl', 'a.CSV', 'a.tsv', 'a.txt', '-'].map(formatOf)).toEqual([
      'jsonl',
      'csv',
      'csv',
      'text',
      'text',
    ]);
  });

  it('keep the other columns of their rows', async () => {
    expect(await read('{"text":"a","id":1}\n\n{"text":"b"}', 'jsonl')).toEqual([
      { text: 'a', id: 1 },
      { text: 'b' },
    ]);
    expect(await read('id;Text\r\n1;"a\n;b"\r\n', 'csv')).toEqual([{ id: '1', text: 'a\n;b' }]);
    expect(await read('\ufeffone\r\n\ntwo', 'text')).toEqual([{ text: 'one' }, { text: 'two' }]);
  });

  it.each([
    ['jsonl', '{"text":"a"}\n{"text":1}', /^line 2: /],
    ['jsonl', '["a"]', 'line 1: not an object such as {"text": "…"}'],
    ['jsonl', '{', 'line 1: not valid JSON'],
    ['csv', 'id,name\n', 'line 1: the header must name the column "text"'],
    ['csv', 'id,text\n1\n', 'line 2: 1 fields where the header has 2'],
    ['csv', 'id,text\n1,"a\n', 'line 2: the quote that opens here is never closed'],
    ['text', 'a\n\u200b\n', 'line 2: text is empty'],
  ] as const)('%s %j is refused with its line', async (format, text, message) => {
    await expect(read(text, format)).rejects.toThrow(message);
  });

  it('are sent at most 256 and one MiB at a time', async () => {
    const rows = async function* (count: number, text: string) {
      for (let i = 0; i < count; i++) yield { text, columns: {} };
    };
    const sizes = async (count: number, text: string) =>
      (await all(inBatches(rows(count, text)))).map((batch) => batch.length);
    expect(await sizes(600, 'short')).toEqual([256, 256, 88]);
    expect(await sizes(3, 'x'.repeat(600_000))).toEqual([1, 1, 1]);
    expect(await sizes(3, '"'.repeat(200_000))).toEqual([2, 1]);
  });
});
