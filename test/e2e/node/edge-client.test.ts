import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EdgeClient } from '../../../gpu-node/daemon/edge-client.ts';
import { Random } from '../../../gpu-node/random.ts';
import { startEdge } from '../../../scripts/local-edge.ts';
import { ADAPTER_CONFIG_FILE, MAX_FILE_BYTES } from '../../../shared/adapter-format.ts';
import { AppError, problem } from '../../../shared/errors.ts';
import { bodyOf, startServer } from '../../support/http-server.ts';

const SECRET = 'the-node-secret';
const JOB = { id: 'ftjob_1', token: 'a'.repeat(32) };
const HEARTBEAT = {
  jobs: [],
  wants_job: true,
  tasks: [],
  wants_task: false,
  deletions_after: 0,
  changes_after: null,
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-edge-client-'));
});
afterAll(() => rm(folder, { recursive: true }));

const clientOf = (url: string) =>
  new EdgeClient({ url, secret: SECRET, timeouts: { call: 500, transfer: 500 } });

it('sends the secret and the lease, and streams a dataset into a file', async () => {
  const seen: unknown[] = [];
  await using edge = await startServer((request, response) => {
    seen.push(request.url, request.headers.authorization, request.headers['x-lease-token']);
    response.end('{"text":"a","label":"b"}\n');
  });
  const file = join(folder, 'training.jsonl');
  await clientOf(edge.url).downloadDataset(JOB, 'training', file);
  expect(seen).toEqual(['/internal/jobs/ftjob_1/files/training', `Bearer ${SECRET}`, JOB.token]);
  expect(await readFile(file, 'utf8')).toBe('{"text":"a","label":"b"}\n');
});

it('uploads a file with its length, again from its start where the edge fails first', async () => {
  const bodies: string[] = [];
  const lengths: unknown[] = [];
  await using edge = await startServer(async (request, response) => {
    lengths.push(request.headers['content-length'], request.headers['transfer-encoding']);
    bodies.push(await bodyOf(request));
    response.writeHead(bodies.length < 3 ? 503 : 200).end();
  });
  const file = join(folder, 'adapter_config.json');
  await writeFile(file, '{"r":8}');
  await clientOf(edge.url).uploadAdapterFile(JOB, ADAPTER_CONFIG_FILE, file);
  expect(bodies).toEqual(['{"r":8}', '{"r":8}', '{"r":8}']);
  expect(lengths).toEqual(['7', undefined, '7', undefined, '7', undefined]);
});

it("throws the edge's own code and words, and does not repeat what cannot succeed", async () => {
  let calls = 0;
  await using edge = await startServer((_request, response) => {
    calls++;
    response
      .writeHead(404)
      .end(JSON.stringify(problem(new AppError('adapter_not_found', 'no such bundle'), 'r')));
  });
  const download = clientOf(edge.url).downloadAdapterFile(
    'b'.repeat(64),
    ADAPTER_CONFIG_FILE,
    join(folder, 'x'),
  );
  await expect(download).rejects.toMatchObject({ code: 'adapter_not_found', message: 'no such bundle' });
  expect(calls).toBe(1);
});

it('starts a download over that broke off', async () => {
  let calls = 0;
  await using edge = await startServer((_request, response) => {
    response.writeHead(200, { 'content-length': '10' });
    if (++calls > 1) response.end('0123456789');
    else response.write('01234', () => response.destroy());
  });
  const file = join(folder, 'broken');
  await clientOf(edge.url).downloadAdapterFile('b'.repeat(64), ADAPTER_CONFIG_FILE, file);
  expect(await readFile(file, 'utf8')).toBe('0123456789');
});

it('refuses more bytes than a file may have', async () => {
  await using edge = await startServer((_request, response) => {
    response.end(Buffer.alloc(MAX_FILE_BYTES[ADAPTER_CONFIG_FILE] + 1));
  });
  const download = clientOf(edge.url).downloadAdapterFile(
    'b'.repeat(64),
    ADAPTER_CONFIG_FILE,
    join(folder, 'y'),
  );
  await expect(download).rejects.toMatchObject({ code: 'payload_too_large' });
});

it('gives up on an edge that stays silent, or answers something else than agreed', async () => {
  await using silent = await startServer(() => {});
  const beat = clientOf(silent.url).heartbeat('node_1', HEARTBEAT);
  await expect(beat).rejects.toMatchObject({ code: 'upstream_failed' });
  await using strange = await startServer((_request, response) => void response.end('{"jobs":[]}'));
  await expect(clientOf(strange.url).heartbeat('node_1', HEARTBEAT)).rejects.toThrow('not as agreed');
  await using html = await startServer((_request, response) => void response.writeHead(502).end('<html>'));
  await expect(clientOf(html.url).heartbeat('node_1', HEARTBEAT)).rejects.toThrow('the edge answered 502');
});

it('stops when told to', async () => {
  await using silent = await startServer(() => {});
  const end = new AbortController();
  const download = clientOf(silent.url).downloadDataset(JOB, 'training', join(folder, 'z'), end.signal);
  end.abort();
  await expect(download).rejects.toBeInstanceOf(AppError);
});

describe('an upload that ends early', () => {
  /** More than all buffers on the way hold. */
  const BYTES = 8e6;
  const ROUNDS = 8;
  let file: string;
  beforeAll(async () => {
    file = join(folder, 'checkpoint');
    await writeFile(file, Buffer.alloc(BYTES));
  });

  const upload = (url: string, signal?: AbortSignal) =>
    new EdgeClient({ url, secret: SECRET }).uploadCheckpoint(JOB, file, signal);

  /** How often this process has the file open. */
  async function timesOpen(): Promise<number> {
    const open = await readdir('/proc/self/fd');
    const names = await Promise.all(open.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
    return names.filter((name) => name === file).length;
  }

  const early: Record<string, Parameters<typeof startServer>[0]> = {
    'answers before it has read it': (request, response) => {
      response.writeHead(409).end(JSON.stringify(problem(new AppError('job_finished', 'lost'), 'r')));
      request.resume();
    },
    'answers and hangs up': (_request, response) => {
      const headers = { connection: 'close' };
      response
        .writeHead(409, headers)
        .end(JSON.stringify(problem(new AppError('job_finished', 'lost'), 'r')));
    },
    'resets the connection': (request) => {
      request.once('data', () => request.socket.resetAndDestroy());
    },
    'stops reading, and is given up': () => {},
  };
  for (const [how, answer] of Object.entries(early)) {
    it(`because the edge ${how} rejects, and leaves no file open`, async () => {
      await using edge = await startServer(answer);
      const random = new Random(1, how);
      const failures = await Promise.all(
        Array.from({ length: ROUNDS }, () => {
          const failed = upload(edge.url, AbortSignal.timeout(20 + random.below(50)));
          return failed.then(
            () => undefined,
            (error: unknown) => error,
          );
        }),
      );
      for (const failure of failures) expect(failure).toBeInstanceOf(AppError);
      expect(await timesOpen()).toBe(0);
    });
  }

  it('because the real edge refuses it rejects, and leaves no file open', async () => {
    const stateFolder = join(folder, 'edge');
    const edge = await startEdge({ stateFolder, port: 0, nodeSecret: SECRET, key: 'a-key' });
    try {
      for (let round = 0; round < ROUNDS; round++) {
        await expect(upload(edge.url)).rejects.toBeInstanceOf(AppError);
      }
      expect(await timesOpen()).toBe(0);
    } finally {
      await edge.stop();
    }
  });
});
