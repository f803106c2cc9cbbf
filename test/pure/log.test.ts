import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import { createLog, explain } from '../../gpu-node/log.ts';

const NOON = () => new Date(Date.UTC(2026, 0, 2, 12));

function written(human: boolean, level: 'info' | 'warn', message: string, fields = {}): string {
  const chunks: string[] = [];
  const out = new Writable({
    write: (chunk, _encoding, done) => {
      chunks.push(String(chunk));
      done();
    },
  });
  createLog(out, human, NOON)[level](message, fields);
  return chunks.join('');
}

it('a machine reads a JSON object a line', () => {
  const line = written(false, 'info', 'listens', { url: 'http://x', port: 1, cause: undefined });
  expect(line.endsWith('\n')).toBe(true);
  const time = '2026-01-02T12:00:00.000Z';
  expect(JSON.parse(line)).toEqual({ time, level: 'info', message: 'listens', url: 'http://x', port: 1 });
});

it('a person reads one line of words, whatever is in it', () => {
  expect(written(true, 'warn', 'lost\nthe edge', { tries: 3, cause: undefined })).toBe(
    '12:00:00 node warn: lost the edge tries=3\n',
  );
});

it('a log whose reader has gone ends nothing', async () => {
  const out = new Writable({ write: (_chunk, _encoding, done) => done(new Error('write EPIPE')) });
  const log = createLog(out, false);
  log.info('one');
  await new Promise((resolve) => out.once('close', resolve));
  log.info('another');
});

it('logs of one stream listen to it once, however many there are', () => {
  const out = new Writable({ write: (_chunk, _encoding, done) => done() });
  for (let i = 0; i < 20; i++) createLog(out, false);
  expect(out.listenerCount('error')).toBe(1);
});

it('an error is told with its causes', () => {
  const cause = new Error('fetch failed', { cause: 'ECONNREFUSED' });
  expect(explain(new Error('the edge is away', { cause }))).toBe(
    'the edge is away (fetch failed (ECONNREFUSED))',
  );
});
