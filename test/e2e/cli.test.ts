import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Platform, startPlatform } from '../../scripts/platform.ts';
import { TINY_BERT } from '../support/tiny-bert.ts';
import { WeftCli } from '../support/weft-cli.ts';

const NODE_ENV = { WEFT_BASE_MODEL: TINY_BERT, WEFT_THREADS: '1', WEFT_NODE_PORT: '0' };
const KEY = 'a-key-of-tests';
const FAST = ['--epochs', '1', '--set', 'hyperparameters.max_length=8'];

let cli: WeftCli;
let platform: Platform;
beforeAll(async () => {
  cli = await WeftCli.build();
  const home = join(cli.folder, 'home');
  await mkdir(home);
  platform = await startPlatform({ home, port: 0, key: KEY, nodeEnv: NODE_ENV, log: () => {} });
  const rows = ['spam', 'ham'].flatMap((label) =>
    Array.from({ length: 40 }, (_, i) => `${JSON.stringify({ text: `${label} number ${i}`, label })}\n`),
  );
  await writeFile(join(cli.folder, 'mails.jsonl'), rows.join(''));
  await writeFile(join(cli.folder, 'many.jsonl'), rows.join('').repeat(30));
  await writeFile(join(cli.folder, 'bad.csv'), 'text,label\nfine,ham\n,spam\n');
});
afterAll(async () => {
  await platform?.stop();
  await cli?.[Symbol.asyncDispose]();
});

/** Runs a command against the platform. */
const weft = (args: string[], options: Parameters<WeftCli['run']>[1] = {}) =>
  cli.run(args, { ...options, env: { WEFT_URL: platform.url, WEFT_API_KEY: KEY, ...options.env } });

describe('files check', () => {
  it('counts what a file has, without a platform', async () => {
    const checked = await cli.run(['files', 'check', 'mails.jsonl', '--json']);
    expect(checked.exit).toBe(0);
    expect(checked.json).toMatchObject({
      object: 'file.check',
      filename: 'mails.jsonl',
      examples: 80,
      labels: { spam: 40, ham: 40 },
      warnings: [],
      skipped: { count: 0, lines: [] },
    });
  });

  it('reports what is odd, the rows that are also trained on among it, and writes all bad rows', async () => {
    await writeFile(join(cli.folder, 'odd.csv'), 'text,label\nsame,a\nsame,b\ntwice,b\ntwice,b\n,a\n');
    await writeFile(join(cli.folder, 'valid.csv'), 'text,label\nnew,a\ntwice,b\n');
    const flags = ['--skip-invalid', '--validation', 'valid.csv'];
    const checked = await cli.run(['files', 'check', 'odd.csv', ...flags, '--errors', 'bad.jsonl', '--json']);
    expect(checked.json.report).toMatchObject({
      duplicates: { rows: 1, lines: [5] },
      contradictions: { texts: 1, rows: 2 },
      leaks: { validation_file: 'valid.csv', rows: 1, lines: [2] },
    });
    const bad = await readFile(join(cli.folder, 'bad.jsonl'), 'utf8');
    expect(JSON.parse(bad)).toEqual({ line: 6, message: 'text is empty' });
    const shown = await cli.run(['files', 'check', 'odd.csv', ...flags]);
    expect(shown.stdout).toMatch(/4 rows, 2 labels, \d+ bytes, 1 left out: to look at\n +1 row repeat/);
  });

  it('fails as the upload would, with the lines', async () => {
    const checked = await cli.run(['files', 'check', 'bad.csv', '--json']);
    const uploaded = await weft(['train', 'bad', 'bad.csv', '--json']);
    expect([checked.exit, uploaded.exit]).toEqual([1, 1]);
    const errors = [{ line: 3, message: 'text is empty' }];
    expect(checked.json).toMatchObject({ status: null, code: 'invalid_dataset', errors, total_errors: 1 });
    expect(uploaded.json).toMatchObject({
      status: 422,
      code: 'invalid_dataset',
      errors,
      next: ['weft files check bad.csv'],
    });
    const skipped = await cli.run(['files', 'check', 'bad.csv', '--skip-invalid', '--json']);
    expect([skipped.exit, skipped.json.examples]).toEqual([0, 1]);
  });

  it('takes other columns than the usual ones, as does a training', async () => {
    await writeFile(join(cli.folder, 'other.csv'), 'body;kind\none;a\ntwo;b\nthree;a\nfour;b\n');
    const columns = ['--text-column', 'body', '--label-column', 'kind'];
    const checked = await cli.run(['files', 'check', 'other.csv', ...columns, '--json']);
    expect(checked.json.labels).toEqual({ a: 2, b: 2 });
    const trained = await weft(['train', 'other', 'other.csv', ...columns, ...FAST, '--json']);
    expect(trained.json).toMatchObject({ object: 'adapter', id: 'other@1' });
  });

  it('says that there is no such file', async () => {
    const checked = await cli.run(['files', 'check', 'none.csv']);
    expect(checked).toMatchObject({ exit: 1, stdout: '' });
    expect(checked.stderr).toBe('error: none.csv: there is no such file or folder\n');
  });
});

describe('uploaded files', () => {
  it('are listed, shown with their report, and deleted by who agrees', async () => {
    await weft(['train', 'listed', 'mails.jsonl', ...FAST]);
    const listed = await weft(['files', 'list', '--json']);
    const isUpload = ({ filename }: { filename: string }) => filename === 'mails.jsonl';
    const uploaded = listed.json.data.find(isUpload);
    const { id } = uploaded;
    expect(uploaded).toMatchObject({ object: 'file', examples: 80 });
    const shown = await weft(['files', 'show', id, '--json']);
    expect(shown.json.report).toMatchObject({ rows: 80, duplicates: { rows: 0 } });
    expect((await weft(['files', 'show', id])).stdout).toMatch(/name +mails.jsonl\n +rows +80\n/);
    const { json: jobs } = await weft(['jobs', 'list', '--json']);
    await weft(['jobs', 'cancel', jobs.data[0].id]);
    expect((await weft(['files', 'delete', id, '--json'])).exit).toBe(4);
    const deleted = await weft(['files', 'delete', id, '--yes', '--json']);
    expect(deleted.json).toEqual({ id, object: 'file', deleted: true });
  });
});

describe('a training', () => {
  it('is followed as lines of JSON, the adapter first and the job last', async () => {
    const followed = await weft(['train', 'mail', 'mails.jsonl', ...FAST, '--follow', '--json']);
    expect(followed.exit, followed.stdout + followed.stderr).toBe(0);
    const [first, ...rest] = followed.lines;
    expect(first).toMatchObject({ object: 'adapter', id: 'mail@1', status: 'queued' });
    const last = rest.pop();
    expect(last).toMatchObject({ object: 'fine_tuning.job', id: first.job_id, status: 'succeeded' });
    expect(new Set(rest.map(({ object }) => object))).toEqual(new Set(['fine_tuning.job.event']));
    expect(new Set(rest.map(({ id }) => id)).size).toBe(rest.length);
    expect(followed.stderr).toBe('');
  });

  it('is shown to people: events beside, metrics as the payload, and what to type next', async () => {
    const file = (await weft(['adapters', 'show', 'mail', '--json'])).json;
    expect(file).toMatchObject({ object: 'adapter', id: 'mail@1', status: 'ready' });
    const followed = await weft(['jobs', 'follow', file.job_id]);
    expect(followed.exit).toBe(0);
    expect(followed.stdout).toMatch(/^mail@1 is ready\n/);
    expect(followed.stderr).toMatch(/epoch 1 of 1: training loss/);
    expect(followed.stderr).toContain("next: weft classify mail@1 'a text'");
    expect(followed.stdout + followed.stderr).not.toContain('\x1b');
    const shown = await weft(['adapters', 'show', 'mail']);
    expect(shown.stdout).toMatch(/adapter +mail@1\n +status +ready/);
    expect(shown.stdout).toContain('true \\ predicted');
  });

  it('goes on when Ctrl-C ends the following, and can be cancelled', async () => {
    const slow = ['--epochs', '100', '--set', 'hyperparameters.batch_size=1'];
    const started = await weft(['train', 'slow', 'many.jsonl', ...slow, '--json']);
    expect(started.json).toMatchObject({ object: 'adapter', id: 'slow@1', status: 'queued' });
    const job = started.json.job_id;
    const followed = await weft(['jobs', 'follow', job, '--json'], { interruptAt: /\n/ });
    expect(followed.exit).toBe(130);
    expect(followed.lines.at(-1)).toMatchObject({
      code: 'interrupted',
      next: [`weft jobs follow ${job}`, `weft jobs cancel ${job}`],
    });
    const shown = await weft(['jobs', 'show', job, '--json']);
    expect(['queued', 'running']).toContain(shown.json.status);
    expect((await weft(['jobs', 'cancel', job, '--json'])).json).toMatchObject({
      id: job,
      status: 'cancelled',
    });
    const again = await weft(['jobs', 'cancel', job, '--json']);
    expect(again.exit).toBe(1);
    expect(again.json).toMatchObject({ status: 409, code: 'job_finished', next: ['weft jobs list'] });
    const ended = await weft(['jobs', 'follow', job]);
    expect(ended).toMatchObject({ exit: 1, stdout: '' });
    expect(ended.stderr).toContain(`error: Job ${job} cancelled`);
  });

  it('is listed, a page at a time', async () => {
    const all = await weft(['jobs', 'list', '--json']);
    expect(all.json.data.length).toBeGreaterThan(1);
    const first = await weft(['jobs', 'list', '--limit', '1', '--json']);
    expect(first.json).toMatchObject({
      object: 'list',
      has_more: true,
      data: [{ object: 'fine_tuning.job' }],
    });
    const second = await weft(['jobs', 'list', '--after', first.json.last_id]);
    expect(second.stdout).toMatch(/^ +job +adapter +status +progress +created\n +ftjob_/);
  });

  it('is refused before the upload where the request is wrong', async () => {
    for (const wrong of [
      ['train', 'Mail', 'mails.jsonl'],
      ['train', 'mail', 'mails.jsonl', '--method', 'magic'],
      ['train', 'mail', 'mails.jsonl', '--set', 'hyperparameters.epochs=many'],
      ['train', 'mail', 'mails.jsonl', '--set', 'unheard_of=1'],
    ]) {
      const refused = await cli.run([...wrong, '--json'], { env: { WEFT_URL: 'http://127.0.0.1:9' } });
      expect([refused.exit, refused.json.code, refused.json.status]).toEqual([2, 'usage', null]);
    }
  });
});

describe('classify', () => {
  it("answers texts with the API's object, or a table", async () => {
    const json = await weft(['classify', 'mail', 'spam number 3', 'ham number 3', '--json']);
    expect(json.exit).toBe(0);
    expect(json.json).toMatchObject({ object: 'list', model: 'mail@1', data: [{ index: 0 }, { index: 1 }] });
    const table = await weft(['classify', 'mail', 'spam number 3', '--scores']);
    expect(table.stdout).toMatch(/^ +text +label +score +scores\n +spam number 3 /);
  });

  it('classifies a file, keeping its columns and order, from a file or standard input', async () => {
    const csv = `id,text\n${Array.from({ length: 600 }, (_, i) => `${i},spam number ${i}\n`).join('')}`;
    await writeFile(join(cli.folder, 'in.csv'), csv);
    const done = await weft(['classify', 'mail', '--file', 'in.csv', '--out', 'out.jsonl', '--json']);
    expect(done.json).toMatchObject({ object: 'classification.file', rows: 600, out: 'out.jsonl' });
    const out = (await readFile(join(cli.folder, 'out.jsonl'), 'utf8')).trimEnd().split('\n');
    const rows = out.map((line) => JSON.parse(line));
    expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: 600 }, (_, i) => String(i)));
    expect(Object.keys(rows[0])).toEqual(['id', 'text', 'label', 'score']);
    const again = await weft(['classify', 'mail', '--file', 'in.csv', '--out', 'out.jsonl', '--json']);
    expect([again.exit, again.json.code]).toEqual([1, 'file_exists']);
    const piped = await weft(['classify', 'mail', '--file', '-'], { stdin: 'one text\n\nanother\n' });
    expect(piped.lines).toMatchObject([{ text: 'one text' }, { text: 'another' }]);
  });

  it('fails at a row without text, and leaves no file behind', async () => {
    await writeFile(join(cli.folder, 'half.jsonl'), '{"text":"fine"}\n{"label":"none"}\n');
    const failed = await weft(['classify', 'mail', '--file', 'half.jsonl', '--out', 'half.out', '--json']);
    expect(failed.exit).toBe(1);
    expect(failed.json).toMatchObject({
      code: 'invalid_dataset',
      errors: [{ line: 2, message: 'text is missing' }],
    });
    expect((await readdir(cli.folder)).filter((name) => name.startsWith('half.out'))).toEqual([]);
  });

  it('names the way where there is no such adapter, or nothing to classify', async () => {
    const unknown = await weft(['classify', 'nobody', 'a text', '--json']);
    expect(unknown.exit).toBe(1);
    expect(unknown.json).toMatchObject({
      status: 404,
      code: 'adapter_not_found',
      next: ['weft adapters list'],
    });
    expect((await weft(['classify', 'mail'])).exit).toBe(2);
  });
});

describe('adapters', () => {
  it('are listed', async () => {
    const listed = await weft(['adapters', 'list', '--name', 'mail', '--json']);
    expect(listed.json).toMatchObject({ object: 'list', data: [{ id: 'mail@1' }] });
    expect((await weft(['adapters', 'list'])).stdout).toContain('mail@1');
  });

  it('are exported and imported again, and answer the same', async () => {
    const exported = await weft(['adapters', 'export', 'mail', '--out', 'mail files', '--json']);
    expect(exported.json).toMatchObject({ object: 'adapter.export', id: 'mail@1', out: 'mail files' });
    const imported = await weft(['adapters', 'import', 'copy', 'mail files', '--json']);
    expect(imported.json).toMatchObject({ object: 'adapter', id: 'copy@1', status: 'ready' });
    const answers = ['mail', 'copy'].map((name) => weft(['classify', name, 'spam number 2', '--json']));
    const [a, b] = await Promise.all(answers);
    expect(b!.json.data[0].scores).toEqual(a!.json.data[0].scores);
    const again = await weft(['adapters', 'export', 'mail', '--out', 'mail files', '--json']);
    expect([again.exit, again.json.code]).toEqual([1, 'file_exists']);
  });

  it('are exported merged, as an archive', async () => {
    const exported = await weft(['adapters', 'export', 'mail', '--format', 'merged', '--json']);
    expect(exported.json).toMatchObject({ out: 'mail-1.tar' });
    expect((await stat(join(cli.folder, 'mail-1.tar'))).size).toBe(exported.json.bytes);
  });

  it('have aliases that can be set, listed, rolled back and deleted', async () => {
    await weft(['adapters', 'import', 'copy', 'mail files']);
    const set = await weft(['adapters', 'alias', 'copy@prod', '1', '--json']);
    expect(set.json).toMatchObject({ object: 'adapter.alias', id: 'copy@prod', adapter: 'copy@1' });
    await weft(['adapters', 'alias', 'copy@prod', '2']);
    expect((await weft(['adapters', 'alias', 'copy', '--json'])).json.data).toMatchObject([{ version: 2 }]);
    const back = await weft(['adapters', 'rollback', 'copy@prod', '--json']);
    expect(back.json).toMatchObject({ adapter: 'copy@1' });
    const history = await weft(['adapters', 'alias', 'copy@prod', '--history', '--json']);
    expect(history.json.data[0]).toMatchObject({ from: 2, to: 1, rollback: true });
    const gone = await weft(['adapters', 'alias', 'copy@prod', '--delete', '--yes', '--json']);
    expect(gone.json).toMatchObject({ id: 'copy@prod', deleted: true });
    expect((await weft(['adapters', 'rollback', 'copy', '--json'])).exit).toBe(2);
  });

  it('are deleted only by who agrees', async () => {
    const asked = await weft(['adapters', 'delete', 'copy', '--json']);
    expect(asked.exit).toBe(4);
    expect(asked.json).toMatchObject({
      status: null,
      code: 'input_needed',
      next: ['weft adapters delete copy --yes'],
    });
    const deleted = await weft(['adapters', 'delete', 'copy', '--yes', '--json']);
    expect(deleted.json).toEqual({ id: 'copy', object: 'adapter', deleted: true });
  });
});

describe('eval and compare', () => {
  it('tell how an adapter does on a labelled file, and are kept until they are deleted', async () => {
    const done = await weft(['eval', 'mail', 'mails.jsonl', '--json']);
    expect(done.exit, done.stdout + done.stderr).toBe(0);
    expect(done.json).toMatchObject({
      object: 'evaluation',
      status: 'succeeded',
      models: ['mail@1'],
      results: [{ model: 'mail@1', metrics: { examples: 80 } }],
    });
    const { id, file } = done.json;
    const shown = await weft(['evaluations', 'show', id]);
    expect(shown.stdout).toContain('true \\ predicted');
    expect((await weft(['evaluations', 'show', id, '--json'])).json.results).toEqual(done.json.results);
    const listed = await weft(['evaluations', 'list', '--json']);
    expect(listed.json.data).toMatchObject([{ object: 'evaluation', id, file }]);
    const deleted = await weft(['evaluations', 'delete', id, '--yes', '--json']);
    expect(deleted.json).toEqual({ id, object: 'evaluation', deleted: true });
    const gone = await weft(['evaluations', 'show', id, '--json']);
    expect(gone.json).toMatchObject({
      status: 404,
      code: 'evaluation_not_found',
      next: ['weft evaluations list'],
    });
  });

  it('set two adapters side by side, with the rows that flip and how likely that is by chance', async () => {
    await weft(['adapters', 'import', 'twin', 'mail files']);
    const { json: files } = await weft(['files', 'list', '--json']);
    const file = files.data.find((each: { filename: string }) => each.filename === 'mails.jsonl').id;
    const compared = await weft(['compare', 'mail', 'twin', file, '--json']);
    expect(compared.json).toMatchObject({
      file,
      models: ['mail@1', 'twin@1'],
      comparisons: [{ models: ['mail@1', 'twin@1'], flipped: 0, mcnemar: { discordant: 0, p_value: 1 } }],
    });
    const shown = await weft(['compare', 'mail', 'twin', file]);
    expect(shown.stdout).toContain("McNemar's test: p = 1.000; the difference may be chance");
  });

  it('name the adapter that there is not', async () => {
    const unknown = await weft(['eval', 'nobody', 'mails.jsonl', '--json']);
    expect(unknown).toMatchObject({ exit: 1, json: { status: 404, code: 'adapter_not_found' } });
  });
});

describe('the login', () => {
  it('keeps address and key for the owner alone, and sends the key nowhere else', async () => {
    const env = { WEFT_URL: undefined, WEFT_API_KEY: undefined };
    const login = ['login', '--url', platform.url, '--key-stdin', '--json'];
    const done = await weft(login, { stdin: `${KEY}\n`, env });
    expect(done.exit, done.stdout).toBe(0);
    expect(done.json).toMatchObject({ object: 'login', url: platform.url });
    expect(done.stdout).not.toContain(KEY);
    expect((await stat(done.json.config)).mode & 0o777).toBe(0o600);
    expect((await weft(['jobs', 'list', '--json'], { env })).exit).toBe(0);
    const elsewhere = await weft(['jobs', 'list', '--url', 'https://elsewhere.example', '--json'], { env });
    expect(elsewhere.exit).toBe(4);
    expect(elsewhere.json).toMatchObject({
      code: 'input_needed',
      next: ['weft login --url https://elsewhere.example'],
    });
    expect((await weft(['logout', '--json'], { env })).json).toEqual({ object: 'logout', forgotten: true });
  });

  it('asks nobody where there is no terminal, and refuses a wrong key', async () => {
    const asked = await weft(['login', '--json']);
    expect([asked.exit, asked.json.code]).toEqual([4, 'input_needed']);
    const wrong = await weft(['login', '--key-stdin', '--json'], { stdin: 'wrong-key' });
    expect(wrong.exit).toBe(1);
    expect(wrong.json).toMatchObject({ status: 401, code: 'invalid_api_key', next: ['weft login'] });
    const unfit = await weft(['jobs', 'list', '--json'], { env: { WEFT_API_KEY: 'two words' } });
    expect([unfit.exit, unfit.stdout.includes('two words')]).toEqual([2, false]);
  });
});

describe('keys', () => {
  it('are made, shown once, listed, rotated and ended', async () => {
    const made = await weft(['keys', 'create', 'CI', '--expires-in', '30', '--json']);
    expect(made.json).toMatchObject({ object: 'api_key', name: 'CI', key: expect.any(String) });
    const { id, key } = made.json;
    const listed = await weft(['keys', 'list', '--json'], { env: { WEFT_API_KEY: key } });
    expect(listed.json.data.find((each: { id: string }) => each.id === id)).toMatchObject({ current: true });
    expect(listed.stdout).not.toContain(key);
    const rotated = await weft(['keys', 'rotate', id, '--json']);
    expect(rotated.json).toMatchObject({ name: 'CI', replaces: { id } });
    const asked = await weft(['keys', 'revoke', id, '--json']);
    expect([asked.exit, asked.json.next]).toEqual([4, [`weft keys revoke ${id} --yes`]]);
    const ended = await weft(['keys', 'revoke', id, '--yes', '--json']);
    expect(ended.json).toEqual({ id, object: 'api_key', deleted: true });
    const again = await weft(['keys', 'revoke', id, '--yes', '--json']);
    expect(again.json).toMatchObject({ status: 404, code: 'key_not_found', next: ['weft keys list'] });
    const shown = await weft(['keys', 'create', 'for a script']);
    expect(shown.stdout).toMatch(/^[\x21-\x7e]+\n$/);
  });
});

describe('weft', () => {
  it('brings a platform up in a clone, says when it is ready, and ends it at Ctrl-C', async () => {
    const home = join(cli.folder, 'another home');
    const up = await cli.fromClone().run(['up', '--port', '0', '--home', home, '--json'], {
      env: NODE_ENV,
      interruptAt: /platform/,
    });
    expect(up.exit, up.stderr).toBe(0);
    expect(up.lines).toEqual([{ object: 'platform', url: expect.stringMatching(/^http:/), home }]);
    expect(up.stderr).toContain('stopping: the node drains first');
  });

  it('says why a platform cannot be brought up', async () => {
    const up = await cli.fromClone().run(['up', '--port', 'none', '--json']);
    expect(up).toMatchObject({ exit: 1, json: { status: null, code: 'platform_failed' } });
    expect(up.stderr).toContain('PORT is "none"');
  });

  it('says plainly that a packed command line brings no platform up', async () => {
    const failed = await cli.run(['up', '--json']);
    expect([failed.exit, failed.json.code]).toEqual([1, 'needs_clone']);
  });

  it('may be tried again where the platform cannot be reached', async () => {
    const failed = await cli.run(['jobs', 'list', '--json'], { env: { WEFT_URL: 'http://127.0.0.1:9' } });
    expect(failed.exit).toBe(3);
    expect(failed.json).toMatchObject({ status: null, code: 'connection_failed', next: ['weft up'] });
  });

  it('was run with every command that it says it has', async () => {
    const { json } = await cli.run(['capabilities', '--json']);
    expect(json.exits).toEqual({
      done: 0,
      failed: 1,
      usage: 2,
      transient: 3,
      input_needed: 4,
      interrupted: 130,
    });
    const untried = json.commands.filter(
      ({ command }: { command: string }) => !cli.ran.some((each) => each.startsWith(command)),
    );
    expect(untried).toEqual([]);
  });
});
