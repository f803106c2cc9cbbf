import { describe, expect, it } from 'vitest';
import { parseAdapterConfig } from '../../../shared/adapter-config.ts';
import {
  checkAgainstBase,
  checkLabels,
  classifierTensorName,
  describeAdapter,
} from '../../../shared/adapter-description.ts';
import { loraTensorName, magnitudeTensorName } from '../../../shared/methods/lora.ts';
import { parseHeader, writeSafetensors } from '../../../shared/safetensors.ts';

const WHAT = 'adapter spam@3';
const BASE = { family: 'bert' as const, hidden_size: 8, num_layers: 12, intermediate_size: 32 };
const query = (layer: number) => `bert.encoder.layer.${layer}.attention.self.query`;

type Shapes = Record<string, readonly number[]>;

/** A spam adapter of rank 2 on the queries of layers 2 and 10; `changes` replace tensors' shapes, null removes one. */
function describeShapes(changes: Record<string, readonly number[] | null> = {}, config: object = {}) {
  const shapes: Record<string, readonly number[] | null> = {
    [loraTensorName(query(10), 'A')]: [2, 8],
    [loraTensorName(query(10), 'B')]: [8, 2],
    [loraTensorName(query(2), 'A')]: [2, 8],
    [loraTensorName(query(2), 'B')]: [8, 2],
    [classifierTensorName('weight')]: [3, 8],
    [classifierTensorName('bias')]: [3],
    ...changes,
  };
  const kept = Object.entries(shapes).filter(([, shape]) => shape !== null) as [string, Shapes[string]][];
  const tensors = kept.map(([name, shape]) => {
    const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
    return [name, { shape, data }] as const;
  });
  const file = writeSafetensors(new Map(tensors));
  const header = parseHeader(file, file.byteLength, { file: WHAT, maxHeaderBytes: 1e6 });
  const json = { peft_type: 'LORA', task_type: 'SEQ_CLS', r: 2, lora_alpha: 4, ...config };
  return describeAdapter(parseAdapterConfig(JSON.stringify(json), WHAT), header, WHAT);
}

describe('describing an adapter', () => {
  it('lists targets in the order of layers, with rank, sizes and scaling', () => {
    const { method, targets, classifier } = describeShapes();
    expect(method).toBe('lora');
    expect(targets).toMatchObject([
      { module: query(2), r: 2, inFeatures: 8, outFeatures: 8, scaling: 2, magnitude: null },
      { module: query(10), r: 2, inFeatures: 8, outFeatures: 8, scaling: 2, magnitude: null },
    ]);
    expect(classifier).toMatchObject({
      labels: 3,
      layers: [{ name: 'classifier', inFeatures: 8, outFeatures: 3 }],
    });
  });

  it("uses PEFT's names", () => {
    expect(loraTensorName(query(0), 'A')).toBe(
      'base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight',
    );
    expect(magnitudeTensorName(query(0))).toBe(
      'base_model.model.bert.encoder.layer.0.attention.self.query.lora_magnitude_vector',
    );
    expect(classifierTensorName('bias')).toBe('base_model.model.classifier.bias');
  });

  const magnitudes = { [magnitudeTensorName(query(2))]: [8], [magnitudeTensorName(query(10))]: [8] };

  it('takes a magnitude for every target of a DoRA adapter', () => {
    const { targets } = describeShapes(magnitudes, { use_dora: true });
    expect(targets).toMatchObject([{ magnitude: { shape: [8] } }, { magnitude: { shape: [8] } }]);
  });

  const a = loraTensorName(query(2), 'A');
  const b = loraTensorName(query(2), 'B');
  const refused: [string, Record<string, readonly number[] | null>, object, string][] = [
    [
      'another rank',
      { [a]: [4, 8] },
      {},
      `lora_A of ${query(2)} is [4,8], adapter_config.json gives it rank 2`,
    ],
    [
      'a rank that differs',
      { [b]: [8, 4] },
      {},
      `lora_B of ${query(2)} is [8,4], adapter_config.json gives it rank 2`,
    ],
    ['no B', { [b]: null }, {}, `tensor ${b} is missing`],
    ['three dimensions', { [a]: [2, 8, 1] }, {}, `${a} is [2,8,1], 2 dimensions`],
    ['an empty matrix', { [a]: [2, 0] }, {}, `${a} is [2,0], 2 dimensions`],
    ['no classifier', { [classifierTensorName('weight')]: null }, {}, 'classifier.weight is missing'],
    [
      'a bias of another count',
      { [classifierTensorName('bias')]: [2] },
      {},
      'classifier.bias is [2], classifier.weight is [3,8]',
    ],
    [
      'a DoRA magnitude that its config does not mention',
      magnitudes,
      {},
      `tensor ${magnitudeTensorName(query(2))} is of DoRA, adapter_config.json does not say use_dora`,
    ],
    [
      'a DoRA magnitude for one of two targets',
      { ...magnitudes, [magnitudeTensorName(query(10))]: null },
      { use_dora: true },
      `tensor ${magnitudeTensorName(query(10))} is missing`,
    ],
    [
      'a DoRA magnitude of another width',
      { ...magnitudes, [magnitudeTensorName(query(2))]: [4] },
      { use_dora: true },
      `lora_magnitude_vector of ${query(2)} is [4], lora_B is [8,2]`,
    ],
    [
      'a DoRA magnitude of two dimensions',
      { ...magnitudes, [magnitudeTensorName(query(2))]: [8, 1] },
      { use_dora: true },
      `${magnitudeTensorName(query(2))} is [8,1], 1 dimension`,
    ],
    [
      'a layer norm',
      { 'base_model.model.bert.embeddings.LayerNorm.bias': [8] },
      {},
      'LayerNorm.bias is neither',
    ],
    [
      "RoBERTa's head",
      { 'base_model.model.classifier.dense.weight': [8, 8] },
      {},
      'classifier.dense.weight is neither',
    ],
    [
      "another architecture's encoder",
      { 'base_model.model.roberta.x.lora_A.weight': [2, 8] },
      {},
      'is neither',
    ],
  ];
  it.each(refused)('with %s is refused', (_what, changes, config, message) => {
    expect(() => describeShapes(changes, config)).toThrow(message);
  });

  it('refuses an adapter without a LoRA matrix', () => {
    const none = Object.fromEntries(
      [2, 10].flatMap((layer) => [
        [loraTensorName(query(layer), 'A'), null],
        [loraTensorName(query(layer), 'B'), null],
      ]),
    );
    expect(() => describeShapes(none)).toThrow('it has no LoRA matrix');
  });
});

describe('checking an adapter against a base model', () => {
  const target = (module: string, a: number[], b: number[]) =>
    describeShapes({ [loraTensorName(module, 'A')]: a, [loraTensorName(module, 'B')]: b });

  it('accepts every linear layer of the encoder', () => {
    for (const module of ['attention.self.key', 'attention.self.value', 'attention.output.dense']) {
      checkAgainstBase(target(`bert.encoder.layer.0.${module}`, [2, 8], [8, 2]), BASE, WHAT);
    }
    checkAgainstBase(target('bert.encoder.layer.0.intermediate.dense', [2, 8], [32, 2]), BASE, WHAT);
    checkAgainstBase(target('bert.encoder.layer.0.output.dense', [2, 32], [8, 2]), BASE, WHAT);
    checkAgainstBase(target('bert.pooler.dense', [2, 8], [8, 2]), BASE, WHAT);
  });

  it.each<[string, number[], number[], string]>([
    [query(4), [2, 16], [8, 2], `lora_A of ${query(4)} is [2,16], the base model needs [2,8]`],
    [query(4), [2, 8], [16, 2], `lora_B of ${query(4)} is [16,2], the base model needs [8,2]`],
    ['bert.encoder.layer.0.output.dense', [2, 8], [8, 2], 'is [2,8], the base model needs [2,32]'],
    [query(12), [2, 8], [8, 2], `${query(12)} is changed, the base model has 12 layers, the last is 11`],
    ['bert.embeddings.word_embeddings', [2, 8], [8, 2], 'bert.embeddings.word_embeddings is no linear layer'],
    [
      'bert.encoder.layer.0.constructor',
      [2, 8],
      [8, 2],
      'bert.encoder.layer.0.constructor is no linear layer',
    ],
    ['bert.encoder.layer.00.output.dense', [2, 32], [8, 2], 'is no linear layer'],
  ])('refuses %s as %j and %j', (module, a, b, message) => {
    expect(() => checkAgainstBase(target(module, a, b), BASE, WHAT)).toThrow(message);
  });

  it('takes any feed-forward width where that of the base model is unknown', () => {
    const { intermediate_size: _unknown, ...base } = BASE;
    checkAgainstBase(target('bert.encoder.layer.0.output.dense', [2, 64], [8, 2]), base, WHAT);
  });

  it('refuses a head of another width', () => {
    expect(() => checkAgainstBase(describeShapes(), { ...BASE, hidden_size: 16 }, WHAT)).toThrow(
      'the base model needs',
    );
    const head = describeShapes({ [classifierTensorName('weight')]: [3, 16] });
    expect(() => checkAgainstBase(head, BASE, WHAT)).toThrow(
      'adapter spam@3: classifier.weight is [3,16], the base model needs [3,8]',
    );
  });

  it('wants one label a row, each once', () => {
    checkLabels(describeShapes(), ['a', 'b', 'c'], WHAT);
    expect(() => checkLabels(describeShapes(), ['a', 'b'], WHAT)).toThrow(
      '2 labels are given, classifier.weight is [3,8]',
    );
    expect(() => checkLabels(describeShapes(), ['a', 'b', 'a'], WHAT)).toThrow('a label is given twice');
  });
});

describe("another family's adapter", () => {
  /** An adapter of rank 2 and three labels on one module. */
  const describeFamily = (module: string, head: Record<string, readonly number[]>) =>
    describeShapes({
      [loraTensorName(query(2), 'A')]: null,
      [loraTensorName(query(2), 'B')]: null,
      [loraTensorName(query(10), 'A')]: null,
      [loraTensorName(query(10), 'B')]: null,
      [classifierTensorName('weight')]: null,
      [classifierTensorName('bias')]: null,
      [loraTensorName(module, 'A')]: [2, 8],
      [loraTensorName(module, 'B')]: [8, 2],
      ...Object.fromEntries(Object.entries(head).map(([name, shape]) => [`base_model.model.${name}`, shape])),
    });
  const ROBERTA = 'roberta.encoder.layer.1.attention.self.query';
  const ROBERTA_HEAD = {
    'classifier.dense.weight': [8, 8],
    'classifier.dense.bias': [8],
    'classifier.out_proj.weight': [3, 8],
    'classifier.out_proj.bias': [3],
  };
  const DISTILBERT = 'distilbert.transformer.layer.1.attention.q_lin';
  const DISTILBERT_HEAD = {
    'pre_classifier.weight': [8, 8],
    'pre_classifier.bias': [8],
    'classifier.weight': [3, 8],
    'classifier.bias': [3],
  };
  const roberta = { ...BASE, family: 'roberta' as const };
  const distilbert = { ...BASE, family: 'distilbert' as const };

  it('is described with both layers of its head, and fits a base model of its family', () => {
    const first = describeFamily(ROBERTA, ROBERTA_HEAD);
    expect(first).toMatchObject({ family: 'roberta', classifier: { labels: 3 } });
    expect(first.classifier.layers.map(({ name }) => name)).toEqual([
      'classifier.dense',
      'classifier.out_proj',
    ]);
    checkAgainstBase(first, roberta, WHAT);
    checkLabels(first, ['a', 'b', 'c'], WHAT);
    const second = describeFamily(DISTILBERT, DISTILBERT_HEAD);
    expect(second.family).toBe('distilbert');
    checkAgainstBase(second, distilbert, WHAT);
  });

  it('is refused for a base model of another family', () => {
    expect(() => checkAgainstBase(describeFamily(ROBERTA, ROBERTA_HEAD), BASE, WHAT)).toThrow(
      'it changes a RoBERTa encoder, the base model is a BERT encoder',
    );
    expect(() => checkAgainstBase(describeShapes(), distilbert, WHAT)).toThrow(
      'it changes a BERT encoder, the base model is a DistilBERT encoder',
    );
  });

  it('is refused where a layer of its head is missing, or of another width', () => {
    const { 'pre_classifier.bias': _bias, ...without } = DISTILBERT_HEAD;
    expect(() => describeFamily(DISTILBERT, without)).toThrow('pre_classifier.bias is missing');
    const wide = describeFamily(ROBERTA, { ...ROBERTA_HEAD, 'classifier.dense.weight': [8, 16] });
    expect(() => checkAgainstBase(wide, roberta, WHAT)).toThrow(
      'classifier.dense.weight is [8,16], the base model needs [8,8]',
    );
  });

  it.each([
    ['distilbert.transformer.layer.1.attention.self.query', 'is no linear layer of a DistilBERT encoder'],
    ['distilbert.transformer.layer.12.ffn.lin1', 'the base model has 12 layers'],
    ['distilbert.pooler.dense', 'is no linear layer of a DistilBERT encoder'],
  ])('is refused with a module that its encoder has not: %s', (module, message) => {
    expect(() => checkAgainstBase(describeFamily(module, DISTILBERT_HEAD), distilbert, WHAT)).toThrow(
      message,
    );
  });

  it('is refused by name where no family has its encoder', () => {
    expect(() => describeFamily('deberta.encoder.layer.0.attention.self.query_proj', {})).toThrow(
      'belongs to none of the encoders there are: BERT, RoBERTa, DistilBERT',
    );
  });
});
