import { describe, expect, it } from 'vitest';
import { adapterConfigJson, parseAdapterConfig } from '../../../../shared/adapter-config.ts';
import { checkAgainstBase, classifierTensorName } from '../../../../shared/adapter-description.ts';
import { FAMILIES } from '../../../../shared/families.ts';
import { tensorName } from '../../../../shared/methods/format.ts';
import { formatOf } from '../../../../shared/methods/index.ts';
import { loraTensorName } from '../../../../shared/methods/lora.ts';
import type { BitfitConfig } from '../../../../shared/peft-config.ts';
import { describeFiles, type FileTensors, WHAT } from '../../../support/describe-files.ts';
import { bertOf } from '../../../support/encoders.ts';

const BASE = { family: 'bert' as const, hidden_size: 8, num_layers: 2, intermediate_size: 32 };
const ENCODER = bertOf(8);
const LAYER = 'bert.encoder.layer.0';
const QUERY = `${LAYER}.attention.self.query`;
const WRAPPED = tensorName(QUERY, 'base_layer.bias');
const A = loraTensorName(QUERY, 'A');
const B = loraTensorName(QUERY, 'B');
const bias = (module: string) => tensorName(module, 'bias');
const NORM = bias(`${LAYER}.output.LayerNorm`);

/** What has an effect of what PEFT 0.21.2 wrote for `LoraConfig(task_type="SEQ_CLS", r=1, bias="all", target_modules=["query"])`. */
const FROM_PEFT = {
  bias: 'all',
  init_lora_weights: true,
  lora_alpha: 8,
  lora_dropout: 0.0,
  megatron_core: 'megatron.core',
  modules_to_save: ['classifier', 'score'],
  peft_type: 'LORA',
  qalora_group_size: 16,
  r: 1,
  target_modules: ['query'],
  task_type: 'SEQ_CLS',
  use_dora: false,
};

/** Shapes, and what fills them; PEFT also writes copies of the head's bias. */
const TENSORS: FileTensors = {
  [WRAPPED]: [[8], 1],
  [A]: [[1, 8], 0.5],
  [B]: [[8, 1], 0],
  [bias(`${LAYER}.intermediate.dense`)]: [[32], 1],
  [NORM]: [[8], 1],
  [bias('bert.embeddings.LayerNorm')]: [[8], 1],
  [classifierTensorName('weight')]: [[3, 8], 1],
  [classifierTensorName('bias')]: [[3], 1],
  [tensorName('classifier.original_module', 'bias')]: [[3], 1],
  [tensorName('classifier.modules_to_save', 'bias')]: [[3], 1],
};

function describeFile(changes: FileTensors = {}, config: object = {}) {
  return describeFiles({ ...FROM_PEFT, ...config }, { ...TENSORS, ...changes });
}

describe("biases in PEFT's form of LoRA", () => {
  it('are one of each linear layer and norm that a file names, wrapped by LoRA or not', () => {
    const description = describeFile();
    expect(description).toMatchObject({ method: 'bitfit', family: 'bert', classifier: { labels: 3 } });
    expect(description.targets.map((target) => 'module' in target && target.module)).toEqual([
      'bert.embeddings.LayerNorm',
      QUERY,
      `${LAYER}.intermediate.dense`,
      `${LAYER}.output.LayerNorm`,
    ]);
    checkAgainstBase(description, BASE, WHAT);
  });

  it('are shown as all, or as the subset that they are', () => {
    const { bert } = FAMILIES;
    const shown = (changes: FileTensors) =>
      formatOf('bitfit').methodOf({}, describeFile(changes).targets, bert);
    expect(shown({})).toEqual({ type: 'bitfit', biases: 'all' });
    const subset = { [NORM]: null, [bias('bert.embeddings.LayerNorm')]: null };
    expect(shown(subset)).toEqual({ type: 'bitfit', biases: 'query_and_intermediate' });
  });

  it.each<[string, FileTensors, object, string]>([
    [
      'matrices of LoRA that change something',
      { [B]: [[8, 1], 1e-3] },
      {},
      `neither lora_A nor lora_B of ${QUERY} is 0: biases are served that were trained alone (BitFit)`,
    ],
    ['a matrix too few', { [A]: null }, {}, `${A} is missing`],
    ['no bias of a layer that is wrapped', { [WRAPPED]: null }, {}, `${WRAPPED} is missing`],
    ['two biases of a layer', { [bias(QUERY)]: [[8], 1] }, {}, `tensor ${bias(QUERY)} is neither a bias of`],
    ['a bias that is a matrix', { [NORM]: [[8, 1], 1] }, {}, `${NORM} is [8,1], 1 dimensions`],
    ['a huge bias', { [NORM]: [[8], 1e6] }, {}, 'at most 1000000 is served'],
    ['a weight', { [tensorName(QUERY, 'weight')]: [[8, 8], 1] }, {}, 'query.weight is neither a bias of'],
    [
      'a copy of what is no bias of its head',
      { [tensorName('bert.original_module', 'bias')]: [[3], 1] },
      {},
      'bert.original_module is no linear layer',
    ],
    ['DoRA', {}, { use_dora: true }, '"use_dora" is not supported'],
    ['matrices stored transposed', {}, { fan_in_fan_out: true }, '"fan_in_fan_out" is not supported'],
    [
      'an initialization that changes the base',
      {},
      { init_lora_weights: 'pissa' },
      'init_lora_weights: this',
    ],
  ])('are refused with %s', (_name, changes, config, message) => {
    const checked = () => {
      const description = describeFile(changes, config);
      checkAgainstBase(description, BASE, WHAT);
    };
    expect(checked).toThrow(message);
  });

  it.each<[string, FileTensors, string]>([
    ['another width', { [WRAPPED]: [[16], 1] }, `bias of ${QUERY} is [16], the base model needs [8]`],
    ['a narrower norm', { [NORM]: [[4], 1] }, 'output.LayerNorm is [4], the base model needs [8]'],
    [
      'another rank of one matrix',
      { [B]: [[8, 2], 0] },
      `lora_B of ${QUERY} is [8,2], the base model needs [8,1]`,
    ],
    [
      'a layer beyond its last',
      { [bias('bert.encoder.layer.2.output.LayerNorm')]: [[8], 1] },
      'has 2 layers',
    ],
    [
      'a bias where it has none',
      { [bias('bert.embeddings.x')]: [[8], 1] },
      'bert.embeddings.x is no linear layer',
    ],
  ])('are refused on a base model: %s', (_name, changes, message) => {
    expect(() => checkAgainstBase(describeFile(changes), BASE, WHAT)).toThrow(message);
  });

  it('have a configuration that is read back, and wraps one layer', () => {
    const method: BitfitConfig = { type: 'bitfit', biases: 'all', pooling: 'mean', base_precision: 'fp32' };
    const text = adapterConfigJson({
      method,
      modules: [QUERY, 'x'],
      encoder: ENCODER,
      baseModel: 'base',
      revision: null,
    });
    expect(JSON.parse(text)).toMatchObject({ peft_type: 'LORA', bias: 'all', r: 1, target_modules: [QUERY] });
    expect(parseAdapterConfig(text, WHAT)).toEqual({ method: 'bitfit', baseModel: 'base' });
  });
});
