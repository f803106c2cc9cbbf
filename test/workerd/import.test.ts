import { env } from 'cloudflare:workers';
import { eq } from 'drizzle-orm';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { adapters, objects } from '../../edge/db/schema.ts';
import { randomHex, sha256Of } from '../../edge/hashing.ts';
import { adapterConfigJson } from '../../shared/adapter-config.ts';
import { classifierTensorName } from '../../shared/adapter-description.ts';
import { canonicalManifest, MAX_FILE_BYTES, weftFile } from '../../shared/adapter-format.ts';
import { tensorName } from '../../shared/methods/format.ts';
import { loraTensorName, magnitudeTensorName } from '../../shared/methods/lora.ts';
import { classificationMetrics } from '../../shared/metrics.ts';
import { packMetrics, unpackMetrics } from '../../shared/packed-metrics.ts';
import { parseHeader, writeSafetensors } from '../../shared/safetensors.ts';
import { bertOf } from '../support/encoders.ts';
import { CONTENT_TYPE, concat, multipartBody, partHeader, type TestPart } from '../support/multipart-body.ts';
import { type Answer, type Client, callAsNode, db, makeTenant, problemOf } from './support/api.ts';
import {
  type ConfigShape,
  configFile as configOf,
  HIDDEN,
  MODULES,
  type WeightsShape,
  weightsFile,
} from './support/bundle-files.ts';
import { BASE_SHA256, TestNode } from './support/nodes.ts';

// Uploads near the limits take seconds where the machine is busy.
vi.setConfig({ testTimeout: 60_000 });

const encode = (text: string) => new TextEncoder().encode(text);

let client: Client;
let node: TestNode;

beforeAll(async () => {
  client = await makeTenant();
  node = await new TestNode().register();
});

// A node that was heard of too long ago is not alive, however slow the machine.
beforeEach(async () => {
  await node.beat();
});

/** A file of weights, one element of which is another. */
function weightsWith(tensor: string, element: number, value: number, shape: WeightsShape = {}): Uint8Array {
  const weights = weightsFile(shape);
  const { tensors } = parseHeader(weights, weights.byteLength, { file: 'weights', maxHeaderBytes: 1e6 });
  new DataView(weights.buffer).setFloat32(tensors.get(tensor)!.begin + 4 * element, value, true);
  return weights;
}

/** Makes a base model known by a node that has left, so that nobody waits for it. */
async function know(baseModel: object): Promise<void> {
  const id = `node_${randomHex(8)}`;
  const json = {
    id,
    url: 'https://gone.test',
    device: 'cpu',
    base_models: [baseModel],
    slots: 8,
    version: '0',
  };
  expect((await callAsNode('/internal/nodes', { json })).status).toBe(200);
  expect((await callAsNode(`/internal/nodes/${id}/leave`, { method: 'POST' })).status).toBe(204);
}

const configFile = (shape: Partial<ConfigShape> = {}) => configOf({ baseModel: node.baseModel, ...shape });

const file = (name: string, content: string | Uint8Array): TestPart => ({ name, filename: name, content });
const field = (name: string, content: string): TestPart => ({ name, content });

interface Import {
  config?: string | Uint8Array | null;
  weft?: string;
  weights?: Uint8Array | null;
  fields?: Record<string, string | null>;
}

/** An acceptable import, but for what is given; null leaves one out. */
function partsOf({ config = configFile(), weights = weightsFile(), weft, fields = {} }: Import): TestPart[] {
  return [
    ...(weft === undefined ? [] : [file('weft.json', weft)]),
    ...(weights ? [file('adapter_model.safetensors', weights)] : []),
    ...(config === null ? [] : [file('adapter_config.json', config)]),
    ...Object.entries({ name: 'imported', labels: '["a","b","c"]', ...fields }).flatMap(([name, value]) =>
      value === null ? [] : [field(name, value)],
    ),
  ];
}

function send(parts: TestPart[]): Promise<Answer> {
  const headers = { 'content-type': CONTENT_TYPE };
  return client.call('/v1/adapters/import', { method: 'POST', headers, body: multipartBody(parts) });
}

const importWith = (given: Import) => send(partsOf(given));

describe('POST /v1/adapters/import', () => {
  it('registers an adapter that is ready at once, with a bundle that nodes can fetch', async () => {
    const weights = weightsFile();
    const { status, body, headers } = await importWith({
      weights,
      fields: { name: 'first', max_length: '64' },
    });
    expect(status).toBe(201);
    expect(headers.get('location')).toBe('/v1/adapters/first@1');
    expect(body).toMatchObject({
      id: 'first@1',
      status: 'ready',
      base_model: node.baseModel,
      labels: ['a', 'b', 'c'],
      method: {
        type: 'lora',
        r: 4,
        alpha: 8,
        dropout: 0.1,
        use_rslora: true,
        use_dora: false,
        target_modules: ['attention.self.query', 'attention.self.value'],
        pooling: 'cls',
      },
      job_id: null,
      metrics: null,
      size_bytes: weights.byteLength,
      trained_parameters: null,
      sha256: await sha256Of(weights),
    });
    expect((await client.call('/v1/adapters/first')).body).toEqual({ ...body, resident: [] });

    const [row] = await db.select().from(adapters).where(eq(adapters.name, 'first'));
    expect(await sha256Of(canonicalManifest(row!.manifest!))).toBe(row!.bundle);
    const read = async (name: string) => (await env.BUCKET.get(row!.prefix + name))!.bytes();
    expect(await sha256Of(await read('adapter_model.safetensors'))).toBe(body.sha256);
    expect(new TextDecoder().decode(await read('adapter_config.json'))).toBe(configFile());
    expect(weftFile.parse(JSON.parse(new TextDecoder().decode(await read('weft.json'))))).toEqual({
      format: 1,
      labels: ['a', 'b', 'c'],
      pooling: 'cls',
      max_length: 64,
      base_model: node.baseModel,
      base_model_sha256: BASE_SHA256,
      base_precision: 'fp32',
      metrics: null,
    });
    const ledger = (await db.select().from(objects)).filter(({ key }) => key.startsWith(row!.prefix!));
    expect(ledger.map(({ expiresAt }) => expiresAt)).toEqual([null, null, null]);
  });

  it('registers a DoRA adapter, and says so', async () => {
    const { status, body } = await importWith({
      weights: weightsFile({ dora: true }),
      config: configFile({ dora: true }),
      fields: { name: 'magnitudes' },
    });
    expect(status).toBe(201);
    expect(body.method).toMatchObject({ type: 'lora', r: 4, use_dora: true });
  });

  it('registers an (IA)³ adapter, and refuses one of infinities', async () => {
    const module = MODULES[0]!;
    const weights = (value: number) =>
      writeSafetensors(
        new Map([
          [tensorName(module, 'ia3_l'), { shape: [HIDDEN, 1], data: new Float32Array(HIDDEN).fill(value) }],
          [classifierTensorName('weight'), { shape: [3, HIDDEN], data: new Float32Array(3 * HIDDEN) }],
          [classifierTensorName('bias'), { shape: [3], data: new Float32Array(3) }],
        ]),
      );
    const config = adapterConfigJson({
      encoder: bertOf(HIDDEN),
      method: {
        type: 'ia3',
        target_modules: ['query'],
        feedforward_modules: [],
        pooling: 'cls',
        base_precision: 'fp32',
      },
      modules: [module],
      baseModel: node.baseModel,
      revision: null,
    });
    const fields = { name: 'vectors' };
    const { status, body } = await importWith({ config, weights: weights(1), fields });
    expect(status).toBe(201);
    expect(body.method).toMatchObject({
      type: 'ia3',
      target_modules: ['attention.self.query'],
      feedforward_modules: [],
    });
    const refused = await importWith({ config, weights: weights(Number.POSITIVE_INFINITY), fields });
    expect(refused.status).toBe(422);
    expect(refused.body.error.message).toContain('ia3_l');
  });

  it('notes the precision that the adapter was trained on, which a node must serve', async () => {
    const fields = { name: 'quantized', base_precision: 'int8' };
    const refused = await importWith({ fields });
    expect(problemOf(refused)).toEqual({ status: 422, code: 'invalid_request', param: 'base_precision' });
    const able = await new TestNode().register(['fp32', 'int8']);
    const config = configFile({ baseModel: able.baseModel });
    expect((await importWith({ config, fields })).body).toMatchObject({
      base_precision: 'int8',
      method: { base_precision: 'int8' },
    });
    const unknown = await importWith({ config, fields: { ...fields, base_precision: 'auto' } });
    expect(problemOf(unknown)).toMatchObject({ status: 422, param: 'base_precision' });
    const [row] = await db.select().from(adapters).where(eq(adapters.name, 'quantized'));
    const weft = await (await env.BUCKET.get(`${row!.prefix}weft.json`))!.json();
    expect(weft).toMatchObject({ base_precision: 'int8' });
  });

  it('gives each import of a name its next version', async () => {
    for (const version of [1, 2]) {
      expect((await importWith({ fields: { name: 'again' } })).body.id).toBe(`again@${version}`);
    }
  });

  it('takes files by their file names, labels one a field, and pooling', async () => {
    const parts = partsOf({ fields: { name: 'curl', pooling: 'mean' } })
      .filter(({ name }) => name !== 'labels')
      .map((part) => (part.filename ? { ...part, name: 'files' } : part));
    const labels = ['x', 'y', 'z'].map((value) => field('labels', value));
    const { status, body } = await send([...labels, ...parts]);
    expect([status, body.labels, body.method?.pooling]).toEqual([201, ['x', 'y', 'z'], 'mean']);
  });

  it('knows a base model by what PEFT calls it', async () => {
    const peftName = `sentence-transformers/${randomHex(4)}`;
    const base = {
      id: `known-${randomHex(3)}`,
      sha256: BASE_SHA256,
      precisions: ['fp32'],
      peft_name: peftName,
    };
    await know({ ...base, family: 'bert', hidden_size: HIDDEN, num_layers: 6, max_length: 128 });
    const { body } = await importWith({
      config: configFile({ baseModel: peftName }),
      fields: { name: 'hub' },
    });
    expect(body.base_model).toBe(base.id);
    const named = { base_model: node.baseModel, name: 'named' };
    const other = await importWith({ config: configFile({ baseModel: 'unheard/of' }), fields: named });
    expect(other.body.base_model).toBe(node.baseModel);
  });

  it("takes an adapter for a base model of the same family, and says another's", async () => {
    const base = { id: `distilbert-${randomHex(3)}`, sha256: BASE_SHA256, precisions: ['fp32'] };
    const shape = { family: 'distilbert', hidden_size: HIDDEN, num_layers: 6, max_length: 128 };
    await know({ ...base, ...shape });
    const modules = ['q_lin', 'v_lin'].map((part) => `distilbert.transformer.layer.5.attention.${part}`);
    const weights = weightsFile({ modules, inner: ['pre_classifier'] });
    const config = configFile({ baseModel: base.id });
    const { status, body } = await importWith({ config, weights, fields: { name: 'distilled' } });
    expect([status, body.method?.target_modules]).toEqual([201, ['attention.q_lin', 'attention.v_lin']]);
    const bert = await importWith({ config, fields: { name: 'distilled' } });
    expect(problemOf(bert)).toMatchObject({ status: 422, code: 'invalid_adapter' });
    expect(bert.body.detail).toContain('it changes a BERT encoder, the base model is a DistilBERT encoder');
  });

  it('keeps answering by the version before where the next one is refused', async () => {
    expect((await importWith({ fields: { name: 'steady' } })).status).toBe(201);
    const weights = weightsWith(classifierTensorName('bias'), 2, Number.NaN);
    const refused = await importWith({ weights, fields: { name: 'steady' } });
    expect(problemOf(refused)).toEqual({
      status: 422,
      code: 'invalid_adapter',
      param: 'adapter_model.safetensors',
    });
    expect((await client.call('/v1/adapters/steady')).body).toMatchObject({ version: 1, status: 'ready' });
    expect((await importWith({ fields: { name: 'steady' } })).body.id).toBe('steady@2');
  });

  it('refuses what the base model cannot serve, where its nodes say what it can', async () => {
    const base = { id: `bare-${randomHex(3)}`, sha256: BASE_SHA256, precisions: ['fp32'] };
    const shape = { family: 'bert', hidden_size: HIDDEN, num_layers: 6, max_length: 128 };
    const able = { intermediate_size: 1536, poolings: ['mean'] };
    await know({ ...base, ...shape, ...able });
    const config = configFile({ baseModel: base.id });
    const without = await importWith({ config, fields: { name: 'bare', pooling: 'cls' } });
    expect(problemOf(without)).toEqual({ status: 422, code: 'invalid_adapter', param: 'pooling' });
    expect(without.body.detail).toContain('needs a pooler');
    const weights = weightsFile({ modules: ['bert.encoder.layer.0.intermediate.dense'] });
    const narrow = await importWith({ config, weights, fields: { name: 'bare', pooling: 'mean' } });
    expect(narrow.body.detail).toContain('is [384,4], the base model needs [1536,4]');
    expect((await importWith({ config, fields: { name: 'bare', pooling: 'mean' } })).status).toBe(201);
  });

  const METRICS = packMetrics(
    classificationMetrics({
      labels: ['c', 'a', 'b'],
      actual: [0, 1, 2, 2],
      predicted: [0, 1, 2, 0],
      loss: 0.5,
      ece: 0.1,
    }),
  );
  const weftOf = (changes: object = {}) =>
    JSON.stringify({
      format: 1,
      labels: ['c', 'a', 'b'],
      pooling: 'mean',
      max_length: 77,
      base_model: node.baseModel,
      base_model_sha256: BASE_SHA256,
      base_precision: 'fp32',
      temperature: 1.375,
      metrics: METRICS,
      ...changes,
    });

  it('takes weft.json along: what it says is served and shown, and its bytes are kept', async () => {
    const weft = `${weftOf()}\n\n`;
    const fields = { name: 'along', labels: null };
    const { status, body } = await importWith({ weft, fields });
    expect([status, body.labels, body.method?.pooling]).toEqual([201, ['c', 'a', 'b'], 'mean']);
    expect(body.metrics).toEqual({ validation: unpackMetrics(METRICS) });
    // The same again, with fields that agree, gives the same bundle.
    const agreeing = { ...fields, labels: '["c","a","b"]', max_length: '77', pooling: 'mean' };
    expect((await importWith({ weft, fields: agreeing })).status).toBe(201);
    const rows = await db.select().from(adapters).where(eq(adapters.name, 'along'));
    expect(rows.map(({ bundle }) => bundle)).toEqual([rows[0]!.bundle, rows[0]!.bundle]);
    expect(await (await env.BUCKET.get(`${rows[0]!.prefix}weft.json`))!.text()).toBe(weft);
  });

  it.each([
    ['labels', () => ({ fields: { labels: '["a","b","c"]' } }), 'invalid_request', 'labels'],
    ['pooling', () => ({ fields: { labels: null, pooling: 'cls' } }), 'invalid_request', 'pooling'],
    ['max_length', () => ({ fields: { labels: null, max_length: '64' } }), 'invalid_request', 'max_length'],
    [
      'too few labels',
      () => ({ weft: weftOf({ labels: ['a', 'b'], metrics: null }) }),
      'invalid_adapter',
      'labels',
    ],
    [
      'a label twice',
      () => ({ weft: weftOf({ labels: ['a', 'b', 'a'], metrics: null }) }),
      'invalid_adapter',
      'labels',
    ],
    ['a temperature of 0', () => ({ weft: weftOf({ temperature: 0 }) }), 'invalid_adapter', 'weft.json'],
    ['no JSON', () => ({ weft: '{' }), 'invalid_adapter', 'weft.json'],
    ['an unknown field', () => ({ weft: weftOf({ colour: 'red' }) }), 'invalid_adapter', 'weft.json'],
    [
      'metrics that are none',
      () => ({ weft: weftOf({ metrics: { f1: 1 } }) }),
      'invalid_adapter',
      'weft.json',
    ],
    [
      'metrics of other labels',
      () => ({ weft: weftOf({ metrics: { ...METRICS, per_label: {} } }) }),
      'invalid_adapter',
      'weft.json',
    ],
    [
      'other weights',
      () => ({ weft: weftOf({ base_model_sha256: 'c'.repeat(64) }) }),
      'invalid_adapter',
      'base_model',
    ],
    ['too long texts', () => ({ weft: weftOf({ max_length: 512 }) }), 'invalid_request', 'max_length'],
    [
      'an unserved precision',
      () => ({ weft: weftOf({ base_precision: 'nf4' }) }),
      'invalid_request',
      'base_precision',
    ],
  ] as const)('refuses a weft.json that disagrees about %s', async (_, given, code, param) => {
    const answer = await importWith({ weft: weftOf(), fields: { labels: null }, ...(given() as Import) });
    expect(problemOf(answer)).toEqual({ status: 422, code, param });
  });

  const hostileHeader = () => {
    const bytes = new Uint8Array(64);
    new DataView(bytes.buffer).setBigUint64(0, 2n ** 60n, true);
    return bytes;
  };
  const withKey = (key: string, value: unknown) =>
    JSON.stringify({ ...JSON.parse(configFile()), [key]: value });

  it.each([
    [
      'more labels than rows',
      () => ({ fields: { labels: '["a","b","c","d"]' } }),
      'invalid_adapter',
      'classifier.weight is [3,384]',
    ],
    [
      'fewer labels than rows',
      () => ({ fields: { labels: '["a","b"]' } }),
      'invalid_adapter',
      'classifier.weight is [3,384]',
    ],
    [
      'a whole model',
      () => ({ config: encode(JSON.stringify({ peft_type: 'FULL', task_type: 'SEQ_CLS' })) }),
      'invalid_adapter',
      'a whole model, no adapter',
    ],
    ['a label twice', () => ({ fields: { labels: '["a","b","a"]' } }), 'invalid_adapter', 'twice'],
    ['labels that are no array', () => ({ fields: { labels: '[1,' } }), 'invalid_request', 'JSON array'],
    [
      'a blank label',
      () => ({ fields: { labels: '["a","\\u00a0","c"]' } }),
      'invalid_request',
      'labels.1: label is empty',
    ],
    [
      'a label with half a surrogate pair',
      () => ({ fields: { labels: '["a","b","c\\ud800"]' } }),
      'invalid_request',
      'labels.2: label holds half a surrogate pair',
    ],
    [
      'a label that is neither a string nor an integer',
      () => ({ fields: { labels: '["a",1.5,"c"]' } }),
      'invalid_request',
      'labels.1: label is 1.5; a label is a string or an integer',
    ],
    ['no labels', () => ({ fields: { labels: null } }), 'invalid_request', 'the classifier has 3 rows'],
    ['no name', () => ({ fields: { name: null } }), 'invalid_request', 'name'],
    ['a name with a slash', () => ({ fields: { name: 'a/b' } }), 'invalid_request', 'name'],
    ['a name of dots', () => ({ fields: { name: '..' } }), 'invalid_request', 'name'],
    ['an unknown pooling', () => ({ fields: { pooling: 'max' } }), 'invalid_request', 'pooling'],
    [
      'a length beyond the base model’s',
      () => ({ fields: { max_length: '300' } }),
      'invalid_request',
      '256 tokens',
    ],
    ['a length that is no number', () => ({ fields: { max_length: 'x' } }), 'invalid_request', 'max_length'],
    ['an unknown field', () => ({ fields: { colour: 'red' } }), 'invalid_request', 'colour'],
    ['no weights', () => ({ weights: null }), 'invalid_request', 'adapter_model.safetensors is missing'],
    ['no config', () => ({ config: null }), 'invalid_request', 'adapter_config.json is missing'],
    ['a config that is not JSON', () => ({ config: '{' }), 'invalid_adapter', 'not JSON'],
    ['another method', () => ({ config: withKey('peft_type', 'LOHA') }), 'invalid_adapter', 'peft_type'],
    [
      'a setting that Weft cannot honour',
      () => ({ config: withKey('lora_bias', true) }),
      'invalid_adapter',
      'lora_bias',
    ],
    ['a rank unlike the config’s', () => ({ config: configFile({ r: 8 }) }), 'invalid_adapter', 'is [4,384]'],
    ['another width', () => ({ weights: weightsFile({ hidden: 768 }) }), 'invalid_adapter', 'needs [4,384]'],
    [
      'a layer too many',
      () => ({ weights: weightsFile({ modules: ['bert.encoder.layer.6.attention.self.query'] }) }),
      'invalid_adapter',
      '6 layers',
    ],
    [
      'another architecture',
      () => ({ weights: weightsFile({ modules: ['gpt2.h.0.attn.c_proj'] }) }),
      'invalid_adapter',
      'gpt2.h.0.attn.c_proj.lora_A.weight belongs to none of the encoders there are: BERT, RoBERTa, DistilBERT',
    ],
    [
      'a NaN',
      () => ({ weights: weightsWith(loraTensorName(MODULES[1]!, 'B'), 7, Number.NaN) }),
      'invalid_adapter',
      `${loraTensorName(MODULES[1]!, 'B')} [384,4] holds NaN at element 7`,
    ],
    [
      'an infinity',
      () => ({ weights: weightsWith(loraTensorName(MODULES[0]!, 'A'), 1535, Number.NEGATIVE_INFINITY) }),
      'invalid_adapter',
      `${loraTensorName(MODULES[0]!, 'A')} [4,384] holds -Infinity at element 1535`,
    ],
    [
      'a weight too large to be used',
      () => ({ weights: weightsWith(classifierTensorName('weight'), 0, 1e30) }),
      'invalid_adapter',
      'classifier.weight has a norm of 1.00e+30',
    ],
    [
      'a magnitude too large to be used',
      () => ({
        config: configFile({ dora: true }),
        weights: weightsWith(magnitudeTensorName(MODULES[0]!), 0, 3e38, { dora: true }),
      }),
      'invalid_adapter',
      `lora_magnitude_vector of ${MODULES[0]} has a norm of 3.00e+38`,
    ],
    ['an alpha of 0', () => ({ config: withKey('lora_alpha', 0) }), 'invalid_adapter', 'lora_alpha'],
    [
      'an alpha beyond use',
      () => ({ config: withKey('lora_alpha', 1e300) }),
      'invalid_adapter',
      'lora_alpha',
    ],
    [
      'an alpha of NaN',
      () => ({ config: configFile().replace(/"lora_alpha": \d+/, '"lora_alpha": NaN') }),
      'invalid_adapter',
      'not JSON',
    ],
    [
      'a rank that a pattern gives and the weights have not',
      () => ({ config: withKey('rank_pattern', { 'layer.5.attention.self.value': 8 }) }),
      'invalid_adapter',
      'is [4,384], adapter_config.json gives it rank 8',
    ],
    [
      'weights that are cut short',
      () => ({ weights: weightsFile().slice(0, -4) }),
      'invalid_adapter',
      'cut short',
    ],
    ['weights that are empty', () => ({ weights: new Uint8Array(0) }), 'invalid_adapter', '0 bytes'],
    [
      'a header that claims too much',
      () => ({ weights: hostileHeader() }),
      'invalid_adapter',
      'header claims',
    ],
    [
      'weights that are something else',
      () => ({ weights: encode('PK\u0003\u0004 not safetensors at all') }),
      'invalid_adapter',
      'header',
    ],
  ] as const)('refuses %s, and registers nothing', async (_, given, code, why) => {
    const before = await db.$count(adapters);
    const answer = await importWith(given() as Import);
    expect(problemOf(answer)).toMatchObject({ status: 422, code });
    expect(answer.body.detail).toContain(why);
    expect(await db.$count(adapters)).toBe(before);
    const unclaimed = (await db.select().from(objects)).filter(({ expiresAt }) => expiresAt !== null);
    expect(unclaimed).toEqual([]);
  });

  it('refuses an unknown base model, and one that nobody names', async () => {
    for (const config of [
      configFile({ baseModel: 'unheard/of' }),
      configFile({ baseModel: null as never }),
    ]) {
      const answer = await importWith({ config });
      expect(problemOf(answer)).toEqual({ status: 404, code: 'model_not_found', param: 'base_model' });
      expect(answer.body.detail).toContain(node.baseModel);
    }
  });

  it('refuses what is too large, whether or not its length is declared', async () => {
    const config = new Uint8Array(MAX_FILE_BYTES['adapter_config.json'] + 1);
    expect(problemOf(await importWith({ config }))).toMatchObject({
      status: 413,
      param: 'adapter_config.json',
    });
    const post = (body: BodyInit, headers: object) =>
      client.call('/v1/adapters/import', {
        method: 'POST',
        headers: { 'content-type': CONTENT_TYPE, ...headers },
        body,
      });
    expect(problemOf(await post('x', { 'content-length': '200000000' }))).toMatchObject({ status: 413 });
    const values = 2 ** 26;
    const header = JSON.stringify({ w: { dtype: 'F32', shape: [values], data_offsets: [0, 4 * values] } });
    const length = new Uint8Array(8);
    length[0] = header.length;
    const part = encode(partHeader('adapter_model.safetensors', 'adapter_model.safetensors'));
    const start = concat([part, length, encode(header)]);
    const block = new Uint8Array(256 * 1024);
    let sent = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        controller.enqueue(sent === 0 ? concat([start, block]) : block);
        sent += block.byteLength;
      },
    });
    expect(problemOf(await post(endless, {}))).toMatchObject({
      status: 413,
      param: 'adapter_model.safetensors',
    });
    expect(sent).toBeLessThan(MAX_FILE_BYTES['adapter_model.safetensors'] + 2 * 1024 * 1024);
    expect(
      (await env.BUCKET.list({ prefix: 'adapters/import_' })).objects.every(({ size }) => size < 1e6),
    ).toBe(true);
  });

  it('takes multipart/form-data alone', async () => {
    expect(problemOf(await client.call('/v1/adapters/import', { json: {} }))).toMatchObject({ status: 415 });
  });
});
