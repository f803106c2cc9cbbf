import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADAPTER_WEIGHTS_FILE, WEFT_FILE } from '../../../shared/adapter-format.ts';
import { softmax } from '../../../shared/metrics.ts';
import { BASE_PRECISIONS } from '../../../shared/peft-config.ts';
import type { PeftBundle } from '../../support/bundles.ts';
import { randomBundle } from '../../support/bundles.ts';
import { NODE_SECRET, problemOf, startTinyNode, type TinyNode } from '../../support/tiny-node.ts';

let node: TinyNode;
beforeAll(async () => {
  node = await startTinyNode();
});
afterAll(() => node.stop());

/** An adapter's weights, each as large as float32 goes, with its sign. */
function withLargestWeights(files: PeftBundle): Uint8Array<ArrayBuffer> {
  const weights = files[ADAPTER_WEIGHTS_FILE].slice();
  const view = new DataView(weights.buffer);
  for (let at = 8 + view.getUint32(0, true); at < weights.byteLength; at += 4) {
    view.setFloat32(at, Math.sign(view.getFloat32(at, true)) * 3e38, true);
  }
  return weights;
}

describe('classification', () => {
  it('mixes 32 adapters in one run, with the scores that each text gets alone', async () => {
    const bundles = [];
    for (let i = 0; i < 32; i++) {
      bundles.push(
        await node.adapter({ seed: i, r: 1 + (i % 8), labels: 2 + (i % 5), pooling: i % 2 ? 'cls' : 'mean' }),
      );
    }
    const rows = bundles.map((bundle, i) => ({ bundle, text: `text ${i} of a mixed batch` }));
    await node.classify(rows[0]!);
    const before = node.classifier.metrics.runs;
    const mixed = await node.classify(...rows);
    expect(node.classifier.metrics.runs - before).toBe(1);
    for (const [i, row] of rows.slice(0, 6).entries()) {
      const alone = await node.classify(row);
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
      const bundle = await node.adapter({ seed: 49, ...(temperature !== undefined && { temperature }) });
      return (await node.classify({ bundle, text })).rows[0]!.scores;
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
    const [here, there] = [await node.adapter(shape), await node.otherAdapter(shape)];
    const rows = [here, there, there, here].map((bundle, i) => ({ bundle, text: `text ${i} of two bases` }));
    const mixed = await node.classify(...rows);
    for (const [i, row] of rows.entries()) {
      const alone = (await node.classify(row)).rows[0]!.scores;
      for (const [label, score] of alone.entries())
        expect(mixed.rows[i]!.scores[label]).toBeCloseTo(score, 5);
    }
    const [onOne, onOther] = await Promise.all(
      [here, there].map(
        async (bundle) => (await node.classify({ bundle, text: 'the same text' })).rows[0]!.scores[0]!,
      ),
    );
    expect(Math.abs(onOne! - onOther!)).toBeGreaterThan(1e-3);
  });

  it('mixes LoRA and DoRA adapters of the same layers, with the scores that each text gets alone', async () => {
    const shape = { seed: 46, labels: 2 };
    const [plain, dora] = [await node.adapter(shape), await node.adapter({ ...shape, dora: true })];
    const rows = [plain, dora, dora, plain].map((bundle, i) => ({ bundle, text: `text ${i} of two kinds` }));
    const mixed = await node.classify(...rows);
    for (const [i, row] of rows.entries()) {
      const alone = (await node.classify(row)).rows[0]!.scores;
      for (const [label, score] of alone.entries())
        expect(mixed.rows[i]!.scores[label]).toBeCloseTo(score, 5);
    }
    const [first, second] = await Promise.all(
      [plain, dora].map(
        async (bundle) => (await node.classify({ bundle, text: 'the same text' })).rows[0]!.scores[0]!,
      ),
    );
    expect(Math.abs(first! - second!)).toBeGreaterThan(1e-3);
  });

  it('answers each row in the precision that its adapter was trained on, equal weights or not', async () => {
    const sessions = node.classifier.sessions;
    const bundles = await Promise.all(
      BASE_PRECISIONS.map((precision) => node.adapter({ seed: 47, labels: 2, precision })),
    );
    const rows = bundles.map((bundle) => ({ bundle, text: 'one text for all of them' }));
    const mixed = (await node.classify(...rows)).rows.map(({ scores }) => scores[0]!);
    const added = BASE_PRECISIONS.filter((precision) => precision !== 'fp32').length;
    expect(node.classifier.sessions).toBe(sessions + added);
    for (const [i, row] of rows.entries()) {
      expect((await node.classify(row)).rows[0]!.scores[0]).toBeCloseTo(mixed[i]!, 5);
    }
    expect(new Set(mixed).size).toBe(BASE_PRECISIONS.length);
    for (const score of mixed) expect(Math.abs(score - mixed[0]!)).toBeLessThan(0.1);
  });

  it('cuts a text to its adapter and says so', async () => {
    const bundle = await node.adapter({ seed: 50, maxLength: 8 });
    const { rows } = await node.classify({ bundle, text: 'a b c d e f g h i j k l' }, { bundle, text: 'a' });
    expect(rows.map(({ tokens, truncated }) => [tokens, truncated])).toEqual([
      [8, true],
      [3, false],
    ]);
  });

  it('takes any text that has a character', async () => {
    const bundle = await node.adapter({ seed: 51 });
    const texts = ['\0', '😀👩‍👩‍👧', 'שלום עולם', '你好世界', '\ud800', ' ', 'é'.repeat(100_000)];
    const { rows } = await node.classify(...texts.map((text) => ({ bundle, text })));
    for (const { scores } of rows) expect(scores.every(Number.isFinite)).toBe(true);
  });

  it('shares a load among requests that want it at the same time', async () => {
    const bundle = await node.adapter({ seed: 52 });
    const before = node.shelf.downloads;
    await Promise.all(Array.from({ length: 8 }, () => node.classify({ bundle, text: 'hello' })));
    expect(node.shelf.downloads - before).toBe(1);
  });

  it('answers others while one adapter is slow to load', async () => {
    const [slow, quick] = [await node.adapter({ seed: 53 }), await node.adapter({ seed: 54 })];
    const open = node.holdBack(slow);
    const order: string[] = [];
    const waiting = node.classify({ bundle: slow, text: 'slow' }).then(() => order.push('slow'));
    await node.classify({ bundle: quick, text: 'quick' }).then(() => order.push('quick'));
    open();
    await waiting;
    expect(order).toEqual(['quick', 'slow']);
  });

  it('builds a session for other layers while the others answer', async () => {
    const known = await node.adapter({ seed: 55 });
    await node.classify({ bundle: known, text: 'warm' });
    const sessions = node.classifier.sessions;
    const other = await node.adapter({ seed: 56, targets: ['key', 'output.dense'] });
    let built = false;
    const waiting = node.classify({ bundle: other, text: 'new layers' }).then((answer) => {
      built = true;
      return answer;
    });
    let answeredMeanwhile = 0;
    while (!built) {
      await node.classify({ bundle: known, text: 'known layers' });
      if (!built) answeredMeanwhile++;
    }
    expect((await waiting).rows).toHaveLength(1);
    expect(answeredMeanwhile).toBeGreaterThan(0);
    expect(node.classifier.sessions).toBe(sessions + 1);
  });
});

describe('refusals', () => {
  it('keep out whoever lacks the secret', async () => {
    for (const authorization of ['', 'Bearer wrong', `Basic ${NODE_SECRET}`]) {
      const response = await node.send([{ bundle: 'a'.repeat(64), text: 'x' }], {
        headers: { authorization },
      });
      expect(response.status).toBe(401);
    }
  });

  it('say what is wrong with a body', async () => {
    expect(await problemOf(await node.post('/internal/classify', '{'))).toEqual([
      400,
      'malformed_json',
      null,
    ]);
    expect(await problemOf(await node.post('/internal/classify', { rows: [] }))).toEqual([
      422,
      'invalid_request',
      'rows',
    ]);
    const large = JSON.stringify({ text: 'x'.repeat(9 * 1024 * 1024) });
    expect((await problemOf(await node.post('/internal/classify', large)))[1]).toBe('payload_too_large');
    expect(await problemOf(await node.post('/internal/nothing', {}))).toEqual([404, 'not_found', null]);
  });

  it('name the row whose adapter is unknown, or cannot be served', async () => {
    const known = await node.adapter({ seed: 60 });
    const rows = [
      { bundle: known, text: 'x' },
      { bundle: 'f'.repeat(64), text: 'y' },
    ];
    expect(await problemOf(await node.send(rows))).toEqual([404, 'adapter_not_found', 'rows.1.bundle']);
    const files = randomBundle(node.base, node.source, { seed: 61 });
    const broken = await node.shelf.put({ ...files, [WEFT_FILE]: new TextEncoder().encode('{}') });
    expect(await problemOf(await node.send([{ bundle: broken, text: 'x' }]))).toEqual([
      422,
      'invalid_adapter',
      'rows.0.bundle',
    ]);
  });

  it('say so where weights are so large that no score is a number, and leave the texts of others alone', async () => {
    const row = { bundle: await node.adapter({ seed: 50 }), text: 'a text' };
    const files = randomBundle(node.base, node.source, { seed: 51 });
    const huge = await node.shelf.put({ ...files, [ADAPTER_WEIGHTS_FILE]: withLargestWeights(files) });
    const [alone, refused, beside] = await Promise.all([
      node.classify(row),
      node.send([row, { bundle: huge, text: 'a text' }]),
      node.classify(row),
    ]);
    expect(await problemOf(refused)).toEqual([422, 'invalid_adapter', 'rows.1.bundle']);
    expect(beside.rows[0]!.scores).toEqual(alone.rows[0]!.scores);
  });

  it('send a text for another base model away', async () => {
    const unknown = await node.shelf.put(
      randomBundle(node.base, { ...node.source, id: 'unknown' }, { seed: 66 }),
    );
    const response = await node.send([{ bundle: unknown, text: 'x' }]);
    expect(await problemOf(response.clone())).toEqual([404, 'model_not_found', 'rows.0.bundle']);
    expect(await response.text()).toContain('this node serves tiny-bert, other-bert, not unknown');
  });

  it('carry the id by which the caller knows the request, where it is one', async () => {
    const idOf = async (given: string) => {
      const response = await node.post('/internal/nothing', {}, { headers: { 'x-request-id': given } });
      const { request_id } = (await response.json()) as { request_id: string };
      expect(response.headers.get('x-request-id')).toBe(request_id);
      return request_id;
    };
    expect(await idOf('req_0-Z')).toBe('req_0-Z');
    for (const bad of ['two words', 'x'.repeat(65)]) expect(await idOf(bad)).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('carry that id in what they answer well, too', async () => {
    const headers = { 'x-request-id': 'req_well' };
    const rows = [{ bundle: await node.adapter({ seed: 67 }), text: 'x' }];
    const answers = [
      await node.send(rows, { headers }),
      await node.post('/internal/warm', { bundles: [] }, { headers }),
    ];
    expect(answers.map((answer) => answer.headers.get('x-request-id'))).toEqual(['req_well', 'req_well']);
  });

  it('leave nothing in the queue when a caller goes while others run', async () => {
    const bundle = await node.adapter({ seed: 64 });
    const others = node.send(
      Array.from({ length: 200 }, (_, i) => ({ bundle, text: `${'long '.repeat(40)} ${i}` })),
    );
    const caller = new AbortController();
    const answers = Array.from({ length: 8 }, () =>
      node.send([{ bundle, text: 'x' }], { signal: caller.signal }),
    );
    await expect.poll(() => node.classifier.queue, { interval: 1 }).toBe(208);
    caller.abort();
    await Promise.all(answers);
    expect((await others).status).toBe(200);
    expect(node.classifier.queue).toBe(0);
  });

  it('leave nothing in the queue when the caller has gone', async () => {
    const bundle = await node.adapter({ seed: 63 });
    const open = node.holdBack(bundle);
    const caller = new AbortController();
    const answer = node.send([{ bundle, text: 'x' }], { signal: caller.signal });
    await expect.poll(() => node.classifier.queue, { interval: 1 }).toBe(1);
    const runs = node.classifier.metrics.runs;
    caller.abort();
    await answer;
    expect(node.classifier.queue).toBe(0);
    open();
    await expect.poll(() => node.tierOf(bundle)).toBe('memory');
    expect(node.classifier.metrics.runs).toBe(runs);
  });
});

describe('eviction', () => {
  it('drops an adapter from memory and disk', async () => {
    const bundle = await node.adapter({ seed: 70 });
    await node.classify({ bundle, text: 'x' });
    node.shelf.bundles.delete(bundle);
    expect((await node.post('/internal/evict', { bundles: [bundle, 'e'.repeat(64)] })).status).toBe(200);
    expect((await node.send([{ bundle, text: 'x' }])).status).toBe(404);
  });

  it('also drops one that is just being loaded', async () => {
    const bundle = await node.adapter({ seed: 71 });
    const open = node.holdBack(bundle);
    const answer = node.send([{ bundle, text: 'x' }]);
    await expect.poll(() => node.classifier.queue, { interval: 1 }).toBe(1);
    await node.post('/internal/evict', { bundles: [bundle] });
    open();
    expect((await answer).status).toBe(404);
    await expect.poll(() => node.tierOf(bundle)).toBeNull();
  });
});
