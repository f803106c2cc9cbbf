import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type AdapterSource,
  AdapterStore,
  type BundleBytes,
  bundleId,
} from '../../../gpu-node/adapter-store.ts';
import { createLog } from '../../../gpu-node/log.ts';
import type { BaseModel } from '../../../gpu-node/models/model.ts';
import { type BaseModelSource, openBaseModel } from '../../../gpu-node/models/open-base-model.ts';
import { Classifier } from '../../../gpu-node/serve/classifier.ts';
import { nodeApp } from '../../../gpu-node/serve/http.ts';
import { ServingLease } from '../../../gpu-node/serving-lease.ts';
import { WEFT_FILE } from '../../../shared/adapter-format.ts';
import { type NodeClassifyResponse, nodeClassifyResponse } from '../../../shared/api/nodes.ts';
import { AppError } from '../../../shared/errors.ts';
import { softmax } from '../../../shared/metrics.ts';
import { BASE_PRECISIONS } from '../../../shared/peft-config.ts';
import { type BundleShape, randomBundle } from '../../support/bundles.ts';
import { otherTinyBert, TINY_BERT } from '../../support/tiny-bert.ts';

const SECRET = 'the node secret';
const QUEUE_ROWS = 256;
const log = createLog(new Writable({ write: (_chunk, _encoding, done) => done() }), false);

/** Bundles that the edge would have; one may be held back until its gate opens. */
class Shelf implements AdapterSource {
  readonly bundles = new Map<string, BundleBytes>();
  readonly gates = new Map<string, Promise<void>>();
  downloads = 0;

  async downloadAdapterFile(bundle: string, name: keyof BundleBytes, file: string): Promise<void> {
    this.downloads++;
    await this.gates.get(bundle);
    const files = this.bundles.get(bundle);
    if (!files) throw new AppError('adapter_not_found', 'there is no such adapter');
    await writeFile(file, files[name]);
  }

  async put(files: BundleBytes): Promise<string> {
    const id = await bundleId(files);
    this.bundles.set(id, files);
    return id;
  }
}

const shelf = new Shelf();
let folder: string;
let source: BaseModelSource;
let base: BaseModel;
let otherSource: BaseModelSource;
let otherBase: BaseModel;
let classifier: Classifier;
/** Its lease never ends. */
const serving = new ServingLease(() => 0);
let app: Hono;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-http-'));
  source = { id: 'tiny-bert', folder: TINY_BERT, sha256: '0'.repeat(64), weightsFolder: folder };
  base = await openBaseModel(source);
  otherSource = await otherTinyBert(folder);
  otherBase = await openBaseModel(otherSource);
  const store = await AdapterStore.open({
    folder: join(folder, 'adapters'),
    maxBytes: 1e9,
    source: shelf,
    log,
  });
  classifier = new Classifier({
    bases: [source, otherSource],
    store,
    device: 'cpu',
    threads: 1,
    slots: 64,
    batchTokens: 4096,
    queueRows: QUEUE_ROWS,
    log,
  });
  serving.renew(0, { lease_seconds: 10, head: 0, changes: null });
  app = nodeApp({
    secret: SECRET,
    classifier,
    serving,
    log,
    health: () => ({
      status: 'ok',
      id: 'node_1',
      device: 'cpu',
      base_models: ['tiny-bert'],
      adapters_resident: classifier.resident,
      training: 0,
      queue: classifier.queue,
    }),
    gauges: () => ({ queue: 0, resident: 0, sessions: 0, training: 0, cacheBytes: 0 }),
  });
});
afterAll(async () => {
  await classifier.stop();
  await rm(folder, { recursive: true });
});

const adapter = (shape: BundleShape) => shelf.put(randomBundle(base, source, shape));
const otherAdapter = (shape: BundleShape) => shelf.put(randomBundle(otherBase, otherSource, shape));

function post(path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  return Promise.resolve(
    app.request(path, {
      method: 'POST',
      headers: { authorization: `Bearer ${SECRET}`, 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
      ...init,
    }),
  );
}

interface Text {
  bundle: string;
  text: string;
}

const send = (rows: Text[], init: RequestInit = {}) => post('/internal/classify', { rows }, init);

async function classify(...rows: Text[]): Promise<NodeClassifyResponse> {
  const response = await send(rows);
  expect(response.status, await response.clone().text()).toBe(200);
  return nodeClassifyResponse.parse(await response.json());
}

async function problemOf(response: Response) {
  const { status, error } = (await response.json()) as {
    status: number;
    error: { code: string; param: unknown };
  };
  expect(status).toBe(response.status);
  return [status, error.code, error.param];
}

describe('classification', () => {
  it('mixes 32 adapters in one run, with the scores that each text gets alone', async () => {
    const bundles = [];
    for (let i = 0; i < 32; i++) {
      bundles.push(
        await adapter({ seed: i, r: 1 + (i % 8), labels: 2 + (i % 5), pooling: i % 2 ? 'cls' : 'mean' }),
      );
    }
    const rows = bundles.map((bundle, i) => ({ bundle, text: `text ${i} of a mixed batch` }));
    await classify(rows[0]!);
    const before = classifier.metrics.runs;
    const mixed = await classify(...rows);
    expect(classifier.metrics.runs - before).toBe(1);
    for (const [i, row] of rows.slice(0, 6).entries()) {
      const alone = await classify(row);
      expect(mixed.labels[row.bundle]).toHaveLength(2 + (i % 5));
      alone.rows[0]!.scores.forEach((score, label) => {
        expect(mixed.rows[i]!.scores[label]).toBeCloseTo(score, 5);
      });
    }
    for (const { scores } of mixed.rows) expect(scores.reduce((a, b) => a + b)).toBeCloseTo(1, 10);
  });

  it("divides an adapter's logits by its temperature, which leaves their order as it is", async () => {
    const text = 'a text of some length';
    const scoresOf = async (temperature?: number) => {
      const bundle = await adapter({ seed: 49, ...(temperature !== undefined && { temperature }) });
      return (await classify({ bundle, text })).rows[0]!.scores;
    };
    const scores = await scoresOf();
    const expected = softmax(
      scores.map((score) => Math.log(score)),
      4,
    );
    const flatter = await scoresOf(4);
    expect(await scoresOf(1)).toEqual(scores);
    for (const [label, score] of flatter.entries()) expect(score).toBeCloseTo(expected[label]!, 6);
    const order = (values: number[]) => values.map((_, i) => i).sort((a, b) => values[a]! - values[b]!);
    expect(order(flatter)).toEqual(order(scores));
  });

  it('mixes adapters of two base models, each row answered on the base model of its adapter', async () => {
    const shape = { seed: 45, labels: 2 };
    const [here, there] = [await adapter(shape), await otherAdapter(shape)];
    const rows = [here, there, there, here].map((bundle, i) => ({ bundle, text: `text ${i} of two bases` }));
    const mixed = await classify(...rows);
    for (const [i, row] of rows.entries()) {
      const alone = (await classify(row)).rows[0]!.scores;
      for (const [label, score] of alone.entries())
        expect(mixed.rows[i]!.scores[label]).toBeCloseTo(score, 5);
    }
    const [onOne, onOther] = await Promise.all(
      [here, there].map(
        async (bundle) => (await classify({ bundle, text: 'the same text' })).rows[0]!.scores[0]!,
      ),
    );
    expect(Math.abs(onOne! - onOther!)).toBeGreaterThan(1e-3);
  });

  it('mixes LoRA and DoRA adapters of the same layers, with the scores that each text gets alone', async () => {
    const shape = { seed: 46, labels: 2 };
    const [plain, dora] = [await adapter(shape), await adapter({ ...shape, dora: true })];
    const rows = [plain, dora, dora, plain].map((bundle, i) => ({ bundle, text: `text ${i} of two kinds` }));
    const mixed = await classify(...rows);
    for (const [i, row] of rows.entries()) {
      const alone = (await classify(row)).rows[0]!.scores;
      for (const [label, score] of alone.entries())
        expect(mixed.rows[i]!.scores[label]).toBeCloseTo(score, 5);
    }
    const [first, second] = await Promise.all(
      [plain, dora].map(
        async (bundle) => (await classify({ bundle, text: 'the same text' })).rows[0]!.scores[0]!,
      ),
    );
    expect(Math.abs(first! - second!)).toBeGreaterThan(1e-3);
  });

  it('answers each row in the precision that its adapter was trained on, equal weights or not', async () => {
    const sessions = classifier.sessions;
    const bundles = await Promise.all(
      BASE_PRECISIONS.map((precision) => adapter({ seed: 47, labels: 2, precision })),
    );
    const rows = bundles.map((bundle) => ({ bundle, text: 'one text for all of them' }));
    const mixed = (await classify(...rows)).rows.map(({ scores }) => scores[0]!);
    const added = BASE_PRECISIONS.filter((precision) => precision !== 'fp32').length;
    expect(classifier.sessions).toBe(sessions + added);
    for (const [i, row] of rows.entries()) {
      expect((await classify(row)).rows[0]!.scores[0]).toBeCloseTo(mixed[i]!, 5);
    }
    expect(new Set(mixed).size).toBe(BASE_PRECISIONS.length);
    for (const score of mixed) expect(Math.abs(score - mixed[0]!)).toBeLessThan(0.1);
  });

  it('cuts a text to its adapter and says so', async () => {
    const bundle = await adapter({ seed: 50, maxLength: 8 });
    const { rows } = await classify({ bundle, text: 'a b c d e f g h i j k l' }, { bundle, text: 'a' });
    expect(rows.map(({ tokens, truncated }) => [tokens, truncated])).toEqual([
      [8, true],
      [3, false],
    ]);
  });

  it('takes any text that has a character', async () => {
    const bundle = await adapter({ seed: 51 });
    const texts = ['\0', '😀👩‍👩‍👧', 'שלום עולם', '你好世界', '\ud800', ' ', 'é'.repeat(100_000)];
    const { rows } = await classify(...texts.map((text) => ({ bundle, text })));
    for (const { scores } of rows) expect(scores.every(Number.isFinite)).toBe(true);
  });

  it('shares a load among requests that want it at the same time', async () => {
    const bundle = await adapter({ seed: 52 });
    const before = shelf.downloads;
    await Promise.all(Array.from({ length: 8 }, () => classify({ bundle, text: 'hello' })));
    expect(shelf.downloads - before).toBe(3);
  });

  it('answers others while one adapter is slow to load', async () => {
    const [slow, quick] = [await adapter({ seed: 53 }), await adapter({ seed: 54 })];
    const gate = Promise.withResolvers<void>();
    shelf.gates.set(slow, gate.promise);
    const order: string[] = [];
    const waiting = classify({ bundle: slow, text: 'slow' }).then(() => order.push('slow'));
    await classify({ bundle: quick, text: 'quick' }).then(() => order.push('quick'));
    gate.resolve();
    await waiting;
    expect(order).toEqual(['quick', 'slow']);
  });

  it('builds a session for other layers while the others answer', async () => {
    const known = await adapter({ seed: 55 });
    await classify({ bundle: known, text: 'warm' });
    const sessions = classifier.sessions;
    const other = await adapter({ seed: 56, targets: ['key', 'output.dense'] });
    let built = false;
    const waiting = classify({ bundle: other, text: 'new layers' }).then((answer) => {
      built = true;
      return answer;
    });
    let answeredMeanwhile = 0;
    while (!built) {
      await classify({ bundle: known, text: 'known layers' });
      if (!built) answeredMeanwhile++;
    }
    expect((await waiting).rows).toHaveLength(1);
    expect(answeredMeanwhile).toBeGreaterThan(0);
    expect(classifier.sessions).toBe(sessions + 1);
  });
});

describe('refusals', () => {
  it('keep out whoever lacks the secret', async () => {
    for (const authorization of ['', 'Bearer wrong', `Basic ${SECRET}`]) {
      const response = await send([{ bundle: 'a'.repeat(64), text: 'x' }], { headers: { authorization } });
      expect(response.status).toBe(401);
    }
  });

  it('say what is wrong with a body', async () => {
    expect(await problemOf(await post('/internal/classify', '{'))).toEqual([400, 'malformed_json', null]);
    expect(await problemOf(await post('/internal/classify', { rows: [] }))).toEqual([
      422,
      'invalid_request',
      'rows',
    ]);
    const large = JSON.stringify({ text: 'x'.repeat(9 * 1024 * 1024) });
    expect((await problemOf(await post('/internal/classify', large)))[1]).toBe('payload_too_large');
    expect(await problemOf(await post('/internal/nothing', {}))).toEqual([404, 'not_found', null]);
  });

  it('name the row whose adapter is unknown, or cannot be served', async () => {
    const known = await adapter({ seed: 60 });
    const rows = [
      { bundle: known, text: 'x' },
      { bundle: 'f'.repeat(64), text: 'y' },
    ];
    expect(await problemOf(await send(rows))).toEqual([404, 'adapter_not_found', 'rows.1.bundle']);
    const files = randomBundle(base, source, { seed: 61 });
    const broken = await shelf.put({ ...files, [WEFT_FILE]: new TextEncoder().encode('{}') });
    expect(await problemOf(await send([{ bundle: broken, text: 'x' }]))).toEqual([
      422,
      'invalid_adapter',
      'rows.0.bundle',
    ]);
  });

  it('send a text for another base model away', async () => {
    const unknown = await shelf.put(randomBundle(base, { ...source, id: 'unknown' }, { seed: 66 }));
    const response = await send([{ bundle: unknown, text: 'x' }]);
    expect(await problemOf(response.clone())).toEqual([404, 'model_not_found', 'rows.0.bundle']);
    expect(await response.text()).toContain('this node serves tiny-bert, other-bert, not unknown');
  });

  it('are 429 with Retry-After where the queue is full, until it is not', async () => {
    const bundle = await adapter({ seed: 62 });
    const gate = Promise.withResolvers<void>();
    shelf.gates.set(bundle, gate.promise);
    const row = { bundle, text: 'x' };
    const filling = send(Array.from({ length: QUEUE_ROWS }, () => row));
    await expect.poll(() => classifier.queue, { interval: 1 }).toBe(QUEUE_ROWS);
    const refused = await send([row]);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await problemOf(refused)).toEqual([429, 'rate_limited', null]);
    gate.resolve();
    expect((await filling).status).toBe(200);
    expect((await send([row])).status).toBe(200);
    expect(classifier.queue).toBe(0);
  });

  it('leave nothing in the queue when a caller goes while others run', async () => {
    const bundle = await adapter({ seed: 64 });
    const others = send(
      Array.from({ length: 200 }, (_, i) => ({ bundle, text: `${'long '.repeat(40)} ${i}` })),
    );
    const caller = new AbortController();
    const answers = Array.from({ length: 8 }, () => send([{ bundle, text: 'x' }], { signal: caller.signal }));
    await expect.poll(() => classifier.queue, { interval: 1 }).toBe(208);
    caller.abort();
    await Promise.all(answers);
    expect((await others).status).toBe(200);
    expect(classifier.queue).toBe(0);
  });

  it('leave nothing in the queue when the caller has gone', async () => {
    const bundle = await adapter({ seed: 63 });
    const gate = Promise.withResolvers<void>();
    shelf.gates.set(bundle, gate.promise);
    const caller = new AbortController();
    const answer = send([{ bundle, text: 'x' }], { signal: caller.signal });
    await expect.poll(() => classifier.queue, { interval: 1 }).toBe(1);
    const runs = classifier.metrics.runs;
    caller.abort();
    gate.resolve();
    await answer;
    expect(classifier.queue).toBe(0);
    expect(classifier.metrics.runs).toBe(runs);
  });
});

describe('eviction', () => {
  it('drops an adapter from memory and disk', async () => {
    const bundle = await adapter({ seed: 70 });
    await classify({ bundle, text: 'x' });
    shelf.bundles.delete(bundle);
    expect((await post('/internal/evict', { bundles: [bundle, 'e'.repeat(64)] })).status).toBe(200);
    expect((await send([{ bundle, text: 'x' }])).status).toBe(404);
  });

  it('also drops one that is just being loaded', async () => {
    const bundle = await adapter({ seed: 71 });
    const gate = Promise.withResolvers<void>();
    shelf.gates.set(bundle, gate.promise);
    const answer = send([{ bundle, text: 'x' }]);
    await expect.poll(() => classifier.queue, { interval: 1 }).toBe(1);
    await post('/internal/evict', { bundles: [bundle] });
    gate.resolve();
    await answer;
    shelf.bundles.delete(bundle);
    await expect.poll(async () => (await send([{ bundle, text: 'x' }])).status).toBe(404);
  });
});

it('metrics are Prometheus text', async () => {
  const text = await (await app.request('/metrics')).text();
  expect(text).toMatch(/^# HELP weft_\w+ .+\n# TYPE weft_\w+ (counter|gauge)\nweft_\w+ \d/m);
  expect(text).toMatch(/weft_runs_total [1-9]/);
});
