import { exports } from 'cloudflare:workers';
import { eq } from 'drizzle-orm';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { adapters } from '../../edge/db/schema.ts';
import { sha256Of } from '../../edge/hashing.ts';
import { canonicalManifest, type LayoutFile, type WeftFile } from '../../shared/adapter-format.ts';
import { HUB_NAME, hubConfigTexts } from '../../shared/adapterhub-config.ts';
import { bottleneckTensorNames } from '../../shared/methods/bottleneck.ts';
import type { BottleneckConfig } from '../../shared/peft-config.ts';
import { type Tensor, writeSafetensors } from '../../shared/safetensors.ts';
import { bertOf } from '../support/encoders.ts';
import { CONTENT_TYPE, multipartBody, type TestPart } from '../support/multipart-body.ts';
import { type Answer, type Client, callAsNode, db, makeTenant, problemOf } from './support/api.ts';
import { HIDDEN } from './support/bundle-files.ts';
import { BASE_SHA256, TestNode } from './support/nodes.ts';

const LAYERS = 6;
const WIDTH = 4;
const METHOD: BottleneckConfig = {
  type: 'bottleneck',
  placement: 'pfeiffer',
  width: WIDTH,
  activation: 'gelu',
  scaling: 4,
  pooling: 'cls',
  base_precision: 'fp32',
};
const LABELS = ['a', 'b', 'c'];

let client: Client;
let node: TestNode;

beforeAll(async () => {
  client = await makeTenant();
  node = await new TestNode().register();
});
beforeEach(async () => {
  await node.beat();
});

type HubFile = Exclude<LayoutFile<'adapterhub'>, 'weft.json'>;
type Files = Partial<Record<string, string | Uint8Array>>;

const filled = (value: number, ...shape: number[]): Tensor => ({
  shape,
  data: new Float32Array(shape.reduce((a, b) => a * b)).fill(value),
});
const moduleOf = (index: number) => `bert.encoder.layer.${index}.output`;
const firstNames = bottleneckTensorNames(moduleOf(0), HUB_NAME);

function tensors(layers = LAYERS, name = HUB_NAME): Map<string, Tensor> {
  const all = Array.from({ length: layers }, (_, index) => {
    const names = bottleneckTensorNames(moduleOf(index), name);
    return [
      [names.down, filled(0.1, WIDTH, HIDDEN)],
      [names.downBias, filled(0.1, WIDTH)],
      [names.up, filled(0.1, HIDDEN, WIDTH)],
      [names.upBias, filled(0.1, HIDDEN)],
    ] as const;
  });
  return new Map(all.flat());
}

function weft(): WeftFile {
  return {
    format: 1,
    labels: LABELS,
    pooling: 'cls',
    max_length: 64,
    base_model: node.baseModel,
    base_model_sha256: BASE_SHA256,
    base_precision: 'fp32',
    temperature: 2,
    metrics: null,
  };
}

/** Files as AdapterHub's library writes them. */
function filesOf(method = METHOD, own = tensors()): Record<HubFile, string | Uint8Array> {
  const input = { method, encoder: bertOf(HIDDEN), modules: [], baseModel: node.baseModel, revision: null };
  const [config, head] = hubConfigTexts(input, weft());
  return {
    'adapter_config.json': config,
    'head_config.json': head,
    'adapter.safetensors': writeSafetensors(own),
    'model_head.safetensors': writeSafetensors(
      new Map([
        ['classifier.weight', filled(0.1, 3, HIDDEN)],
        ['classifier.bias', filled(0, 3)],
      ]),
    ),
  };
}

function send(name: string, files: Files, fields: Record<string, string> = {}): Promise<Answer> {
  const parts = Object.entries({ name, ...fields }).map(
    ([field, content]): TestPart => ({ name: field, content }),
  );
  for (const [file, content] of Object.entries(files))
    parts.push({ name: file, filename: file, content: content! });
  const headers = { 'content-type': CONTENT_TYPE };
  return client.call('/v1/adapters/import', { method: 'POST', headers, body: multipartBody(parts) });
}

const labelled = { labels: JSON.stringify(LABELS) };

/** The files with a key of `config` of adapter_config.json, or of the other, set to something else. */
function withKeys(config: object, head: object = {}): Files {
  const files = filesOf();
  const adapter = JSON.parse(files['adapter_config.json'] as string);
  const headConfig = JSON.parse(files['head_config.json'] as string);
  return {
    ...files,
    'adapter_config.json': JSON.stringify({ ...adapter, config: { ...adapter.config, ...config } }),
    'head_config.json': JSON.stringify({ ...headConfig, ...head }),
  };
}

const withTensor = (name: string, tensor: Tensor | null): Files => {
  const own = tensors();
  if (tensor) own.set(name, tensor);
  else own.delete(name);
  return filesOf(METHOD, own);
};

describe('importing the files of AdapterHub', () => {
  it('registers a bottleneck adapter, ready, with all of its files', async () => {
    const files = filesOf();
    const { status, body } = await send('hub', files, labelled);
    expect(status).toBe(201);
    expect(body.method).toEqual(METHOD);
    const weights = files['adapter.safetensors'] as Uint8Array;
    const head = files['model_head.safetensors'] as Uint8Array;
    expect(body.size_bytes).toBe(weights.byteLength + head.byteLength);
    expect(body.sha256).toBe(await sha256Of(weights));
    expect(body.files.map(({ name }: { name: string }) => name)).toEqual([
      'adapter.safetensors',
      'adapter_config.json',
      'head_config.json',
      'model_head.safetensors',
      'weft.json',
    ]);
    for (const { name, sha256 } of body.files) {
      const { status: found, headers } = await client.call(`/v1/adapters/hub@1/files/${name}`);
      expect([found, headers.get('etag')]).toEqual([200, `"${sha256}"`]);
    }
    const other = await client.call('/v1/adapters/hub@1/files/adapter_model.safetensors');
    expect(problemOf(other)).toMatchObject({ code: 'file_not_found' });
    expect(other.body.detail).toContain('only adapter.safetensors, adapter_config.json');

    const [row] = await db.select().from(adapters).where(eq(adapters.name, 'hub'));
    const { manifest } = (await callAsNode(`/internal/adapters/${row!.bundle}`)).body;
    expect(await sha256Of(canonicalManifest(manifest))).toBe(row!.bundle);
  });

  it('takes weft.json along, so that a round trip gives an equal bundle', async () => {
    const files = { ...filesOf(), 'weft.json': JSON.stringify(weft()) };
    expect((await send('there', files)).status).toBe(201);
    const again: Files = {};
    for (const name of Object.keys(files)) {
      const headers = { authorization: `Bearer ${client.key}` };
      const url = `https://edge.test/v1/adapters/there/files/${name}`;
      again[name] = new Uint8Array(
        await (await exports.default.fetch(new Request(url, { headers }))).arrayBuffer(),
      );
    }
    expect((await send('and-back', again)).status).toBe(201);
    const bundleOf = async (name: string) =>
      (await db.select().from(adapters).where(eq(adapters.name, name)))[0]!.bundle;
    expect(await bundleOf('and-back')).toBe(await bundleOf('there'));
  });

  it('serves layers that are left out, and reads what older files say less of', async () => {
    const own = tensors();
    for (const name of own.keys()) if (name.includes('layer.2.')) own.delete(name);
    const files = { ...withKeys({ leave_out: [2], non_linearity: 'silu' }) };
    files['adapter.safetensors'] = writeSafetensors(own);
    const { status, body } = await send('left-out', files, labelled);
    expect([status, body.method.activation]).toEqual([201, 'swish']);
  });

  const down = firstNames.down;
  it.each<[string, () => Files, string, string]>([
    [
      'a file too few',
      () => ({ ...filesOf(), 'model_head.safetensors': undefined }),
      'model_head.safetensors',
      'is missing',
    ],
    [
      "a file of PEFT's",
      () => ({ ...filesOf(), 'adapter_model.safetensors': writeSafetensors(new Map([['x', filled(0, 1)]])) }),
      'adapter_model.safetensors',
      'are not the files of one adapter',
    ],
    [
      'a pickle',
      () => ({ ...filesOf(), 'pytorch_adapter.bin': 'PK' }),
      'pytorch_adapter.bin',
      'may run any code',
    ],
  ])('refuses %s', async (_, files, param, message) => {
    const given = Object.fromEntries(Object.entries(files()).filter(([, content]) => content !== undefined));
    const answer = await send('refused', given, labelled);
    expect(problemOf(answer)).toMatchObject({ code: 'invalid_request', param });
    expect(answer.body.detail).toContain(message);
  });

  it.each<[string, () => Files, string]>([
    ['a tensor too few', () => withTensor(down, null), `tensor ${down} is missing`],
    [
      'a tensor too many',
      () => withTensor('bert.x', filled(0, 1)),
      'tensor bert.x is neither a bottleneck tensor',
    ],
    [
      'a wrong shape',
      () => withTensor(down, filled(0, WIDTH, 8)),
      `adapter_down of ${moduleOf(0)} is [4,8], the base model needs [4,384]`,
    ],
    ['another width', () => withTensor(firstNames.up, filled(0, HIDDEN, 5)), 'the base model needs [384,4]'],
    ['no number', () => withTensor(down, filled(Number.NaN, WIDTH, HIDDEN)), 'holds NaN at element 0'],
    [
      'numbers beyond bounds',
      () => withTensor(down, filled(1e6, WIDTH, HIDDEN)),
      `adapter_down of ${moduleOf(0)} has a norm of`,
    ],
    ['a product beyond bounds', () => withKeys({ scaling: 1e6 }), 'scaled by 1000000, has a norm of'],
    [
      'a tensor in both files',
      () => withTensor('classifier.bias', filled(0, 3)),
      'tensor classifier.bias is in two files',
    ],
    ['another name within', () => filesOf(METHOD, tensors(LAYERS, 'other')), `tensor ${down} is missing`],
    ['too few layers', () => filesOf(METHOD, tensors(5)), 'for an encoder of 5 layers, the base model has 6'],
    [
      'no bottleneck at all',
      () => filesOf(METHOD, new Map([['x', filled(0, 1)]])),
      'it has no bottleneck tensor',
    ],
    [
      'another architecture',
      () => withKeys({ architecture: 'lora' }),
      'config.architecture: lora is not served',
    ],
    [
      'a placement of its own',
      () => withKeys({ mh_adapter: true }),
      'only seq_bn, double_seq_bn and par_bn are served',
    ],
    ['another activation', () => withKeys({ non_linearity: 'leakyrelu' }), 'non_linearity: only "relu"'],
    ['a learned scaling', () => withKeys({ scaling: 'learned' }), 'scaling: a learned scaling is not served'],
    ['a gate', () => withKeys({ use_gating: true }), 'use_gating: gates are not served'],
    ['Compacter', () => withKeys({ phm_layer: true }), 'phm_layer: layers of Compacter are not served'],
    ['a norm of its own', () => withKeys({ ln_after: true }), 'ln_after: a norm within the adapter'],
    ['an invertible adapter', () => withKeys({ inv_adapter: 'nice' }), 'inv_adapter: invertible adapters'],
    ['another residual', () => withKeys({ residual_before_ln: 'post_add' }), 'residual_before_ln: only true'],
    ['an unknown key', () => withKeys({ new_thing: 1 }), '"new_thing" is not supported'],
    [
      'a flexible head',
      () => withKeys({}, { model_class: 'BertAdapterModel' }),
      'head_config.json: model_class',
    ],
    ['a head with settings', () => withKeys({}, { config: { layers: 2 } }), 'head_config.json: config'],
    ['no JSON', () => ({ ...filesOf(), 'head_config.json': '{' }), 'head_config.json is not JSON'],
  ])('refuses %s', async (_, files, message) => {
    const answer = await send('refused', files(), labelled);
    expect(problemOf(answer).code).toBe('invalid_adapter');
    expect(answer.body.detail).toContain(message);
    expect((await client.call('/v1/adapters/refused')).status).toBe(404);
  });
});
