import { describe, expect, it } from 'vitest';
import { adapterConfigJson, parseAdapterConfig } from '../../../../shared/adapter-config.ts';
import { checkAgainstBase, classifierTensorName } from '../../../../shared/adapter-description.ts';
import { tensorName } from '../../../../shared/methods/format.ts';
import type { Ia3Config } from '../../../../shared/peft-config.ts';
import { describeFiles, WHAT, zeros } from '../../../support/describe-files.ts';
import { bertOf } from '../../../support/encoders.ts';

const BASE = { family: 'bert' as const, hidden_size: 8, num_layers: 2, intermediate_size: 32 };

/** What PEFT 0.21.2 wrote for `IA3Config(task_type="SEQ_CLS")` on BERT. */
const FROM_PEFT = {
  auto_mapping: null,
  base_model_name_or_path: 'sentence-transformers/all-MiniLM-L6-v2',
  exclude_modules: null,
  fan_in_fan_out: false,
  feedforward_modules: ['output.dense'],
  inference_mode: true,
  init_ia3_weights: true,
  modules_to_save: ['classifier', 'score'],
  peft_type: 'IA3',
  peft_version: '0.21.2',
  revision: null,
  target_modules: ['value', 'key', 'output.dense'],
  task_type: 'SEQ_CLS',
};

const vector = (module: string) => tensorName(`bert.encoder.layer.0.${module}`, 'ia3_l');
const SHAPES: Readonly<Record<string, number[]>> = {
  [vector('output.dense')]: [1, 32],
  [vector('attention.self.key')]: [8, 1],
  [classifierTensorName('weight')]: [3, 8],
  [classifierTensorName('bias')]: [3],
};

function describeFile(shapes: Readonly<Record<string, number[] | null>>, config: object = {}) {
  return describeFiles({ ...FROM_PEFT, ...config }, zeros({ ...SHAPES, ...shapes }));
}

describe("an (IA)³ adapter of PEFT's", () => {
  it('has a vector a layer, of its output or of its input', () => {
    const description = describeFile({});
    expect(description).toMatchObject({ method: 'ia3', family: 'bert', classifier: { labels: 3 } });
    expect(description.targets).toMatchObject([
      { module: 'bert.encoder.layer.0.attention.self.key', scalesInput: false, outFeatures: 8 },
      { module: 'bert.encoder.layer.0.output.dense', scalesInput: true, inFeatures: 32 },
    ]);
    checkAgainstBase(description, BASE, WHAT);
  });

  it.each<[string, Record<string, number[] | null>, object, string]>([
    [
      'a vector that is a matrix',
      { [vector('attention.self.key')]: [2, 4] },
      {},
      'ia3_l of bert.encoder.layer.0.attention.self.key is [2,4], [out,1] or [1,in] is needed',
    ],
    [
      'a tensor of another method',
      { [tensorName('bert.encoder.layer.0.attention.self.key', 'lora_A.weight')]: [2, 8] },
      {},
      'key.lora_A.weight is neither a (IA)³ vector of a BERT encoder nor its classifier',
    ],
    [
      'no vector',
      { [vector('attention.self.key')]: null, [vector('output.dense')]: null },
      {},
      'it has no (IA)³ vector',
    ],
    [
      'matrices that are stored transposed',
      {},
      { fan_in_fan_out: true },
      '"fan_in_fan_out" is not supported',
    ],
    ['another method', {}, { peft_type: 'LORA' }, '"feedforward_modules" is not supported'],
  ])('is refused with %s', (_name, shapes, config, message) => {
    expect(() => describeFile(shapes, config)).toThrow(message);
  });

  it.each<[string, Record<string, number[]>, string]>([
    [
      'another width out',
      { [vector('attention.self.key')]: [16, 1] },
      'is [16,1], the base model needs [8,1]',
    ],
    ['another width in', { [vector('output.dense')]: [1, 8] }, 'is [1,8], the base model needs [1,32]'],
    [
      'a vector of its input where its output is meant',
      { [vector('attention.self.key')]: [1, 16] },
      'is [1,16], the base model needs [1,8]',
    ],
  ])('is refused on a base model of %s', (_name, shapes, message) => {
    expect(() => checkAgainstBase(describeFile(shapes), BASE, WHAT)).toThrow(message);
  });

  it('has a configuration that is read back', () => {
    const method: Ia3Config = {
      type: 'ia3',
      target_modules: ['value', 'key'],
      feedforward_modules: [],
      pooling: 'mean',
      base_precision: 'fp32',
    };
    const text = adapterConfigJson({
      method,
      encoder: bertOf(8),
      modules: [],
      baseModel: 'base',
      revision: null,
    });
    expect(Object.keys(JSON.parse(text))).toEqual(
      Object.keys(FROM_PEFT).filter((key) => key !== 'peft_version'),
    );
    expect(parseAdapterConfig(text, WHAT)).toEqual({ method: 'ia3', baseModel: 'base' });
  });

  it.each<Ia3Config['target_modules']>(['all-linear', ['layer.0.output.dense', 'key']])(
    'names its feed-forward layers among those that it changes, as PEFT asks: %j',
    (target_modules) => {
      const method: Ia3Config = {
        type: 'ia3',
        target_modules,
        feedforward_modules: ['output.dense'],
        pooling: 'mean',
        base_precision: 'fp32',
      };
      const modules = ['attention.self.key', 'output.dense'].map((name) => `bert.encoder.layer.0.${name}`);
      const config = JSON.parse(
        adapterConfigJson({ method, encoder: bertOf(8), modules, baseModel: 'base', revision: null }),
      );
      expect(config.target_modules).toEqual(modules);
      expect(config.feedforward_modules).toEqual([modules[1]]);
    },
  );
});
