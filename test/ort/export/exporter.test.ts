import { unpackTar } from 'modern-tar';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseHeader, readTensors, type Tensor } from '../../../shared/safetensors.ts';
import { maxDifference } from '../../support/tiny-bert.ts';
import { problemOf, startTinyNode, type TinyNode } from '../../support/tiny-node.ts';

let node: TinyNode;
beforeAll(async () => {
  node = await startTinyNode();
});
afterAll(() => node.stop());

const exportOf = (bundle: string, init: RequestInit = {}) => node.post('/internal/export', { bundle }, init);

/** The files of an archive, after it was checked to be as long as it says. */
async function filesOf(response: Response): Promise<Map<string, Uint8Array>> {
  expect(response.status, response.ok ? '' : await response.clone().text()).toBe(200);
  const bytes = new Uint8Array(await response.arrayBuffer());
  expect(response.headers.get('content-length')).toBe(String(bytes.length));
  const entries = await unpackTar(bytes, { strict: true });
  return new Map(entries.map(({ header, data }) => [header.name, data!]));
}

function tensorsOf(file: Uint8Array): Map<string, Tensor> {
  return readTensors(file, parseHeader(file, file.length, { file: 'model', maxHeaderBytes: 1e6 }));
}

const text = (file: Uint8Array | undefined) => new TextDecoder().decode(file);

const FOLDER = ['README.md', 'config.json', 'tokenizer.json', 'tokenizer_config.json', 'weft.json'];

describe('an exported adapter', () => {
  it('is a folder that transformers loads, with labels, length and temperature', async () => {
    const bundle = await node.adapter({ seed: 1, pooling: 'cls', temperature: 2, maxLength: 24 });
    const files = await filesOf(await exportOf(bundle));
    expect([...files.keys()]).toEqual([...FOLDER, 'model.safetensors']);
    expect(JSON.parse(text(files.get('config.json')))).toMatchObject({
      architectures: ['BertForSequenceClassification'],
      model_type: 'bert',
      num_labels: 3,
      id2label: { 0: 'label 0', 1: 'label 1', 2: 'label 2' },
      label2id: { 'label 0': 0, 'label 1': 1, 'label 2': 2 },
    });
    expect(JSON.parse(text(files.get('tokenizer_config.json')))).toMatchObject({
      model_max_length: 24,
      pad_token: '[PAD]',
    });
    expect(JSON.parse(text(files.get('weft.json')))).toMatchObject({ pooling: 'cls', temperature: 2 });
    expect(text(files.get('README.md'))).toContain('from_pretrained(".").eval()');
    expect([...tensorsOf(files.get('model.safetensors')!).keys()]).toContain('bert.pooler.dense.weight');
  });

  it("brings its own class along where it reads the mean, which transformers' own would not", async () => {
    const files = await filesOf(await exportOf(await node.adapter({ seed: 2, pooling: 'mean' })));
    expect([...files.keys()]).toEqual([...FOLDER, 'modeling_mean.py', 'model.safetensors']);
    const config = JSON.parse(text(files.get('config.json')));
    expect(config.model_type).toBe('bert-mean');
    const [module, name] = config.auto_map.AutoModelForSequenceClassification.split('.');
    expect(text(files.get(`${module}.py`))).toContain(`class ${name}(`);
    expect(text(files.get('README.md'))).toContain('trust_remote_code=True');
    expect([...tensorsOf(files.get('model.safetensors')!).keys()].join()).not.toContain('pooler');
  });

  it('is merged into the weights as they were published, whatever precision it was trained on', async () => {
    const modelOf = async (precision: 'fp32' | 'nf4') => {
      const bundle = await node.adapter({ seed: 3, precision, targets: ['query', 'output.dense'] });
      return tensorsOf((await filesOf(await exportOf(bundle))).get('model.safetensors')!);
    };
    const [fp32, nf4] = [await modelOf('fp32'), await modelOf('nf4')];
    for (const [name, { data }] of fp32) expect(maxDifference(nf4.get(name)!.data, data)).toBe(0);
  });

  it('is refused where there is no such adapter, and in words where its files are no adapter', async () => {
    expect(await problemOf(await exportOf('a'.repeat(64)))).toEqual([404, 'adapter_not_found', null]);
    const broken = await node.adapter({ seed: 4, labels: 2 });
    const files = node.shelf.bundles.get(broken)!;
    const bundle = await node.shelf.put({ ...files, 'adapter_config.json': new TextEncoder().encode('{}') });
    expect(await problemOf(await exportOf(bundle))).toEqual([422, 'invalid_adapter', null]);
    expect(node.exporter.running).toBe(0);
  });

  it('is made two at a time; a caller that leaves makes room for another', async () => {
    const bundle = await node.adapter({ seed: 5 });
    const open = node.holdBack(bundle);
    const caller = new AbortController();
    const [first, second] = [exportOf(bundle, { signal: caller.signal }), exportOf(bundle)];
    await expect.poll(() => node.metric('exports')).toBe(2);
    const third = await exportOf(bundle);
    expect(third.headers.get('retry-after')).toBe('10');
    expect(await problemOf(third)).toEqual([429, 'rate_limited', null]);
    caller.abort();
    expect((await first).status).toBe(499);
    expect(await node.metric('exports')).toBe(1);
    open();
    await filesOf(await second);
    await expect.poll(() => node.metric('exports')).toBe(0);
  });

  it('ends where the node drains, and its caller is told so', async () => {
    const bundle = await node.adapter({ seed: 6 });
    const open = node.holdBack(bundle);
    const answer = exportOf(bundle);
    await expect.poll(() => node.metric('exports')).toBe(1);
    node.exporter.stop();
    expect(await problemOf(await answer)).toEqual([503, 'shutting_down', null]);
    expect(await node.metric('exports')).toBe(0);
    open();
  });
});
