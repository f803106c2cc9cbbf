import { describe, expect, it } from 'vitest';
import { adapterConfigJson, parseAdapterConfig } from '../../../../shared/adapter-config.ts';
import { checkAgainstBase, classifierTensorName } from '../../../../shared/adapter-description.ts';
import { FAMILIES } from '../../../../shared/families.ts';
import { tensorName } from '../../../../shared/methods/format.ts';
import { formatOf } from '../../../../shared/methods/index.ts';
import type { RoadConfig } from '../../../../shared/peft-config.ts';
import { describeFiles, WHAT, zeros } from '../../../support/describe-files.ts';
import { bertOf } from '../../../support/encoders.ts';

const BASE = { family: 'bert' as const, hidden_size: 8, num_layers: 2, intermediate_size: 32 };
const KEY = 'bert.encoder.layer.0.attention.self.key';
const THETA = tensorName(KEY, 'road_theta');
const ALPHA = tensorName(KEY, 'road_alpha');

/** What PEFT 0.21.2 wrote for `RoadConfig(task_type="SEQ_CLS", group_size=8, target_modules=["key"])`. */
const FROM_PEFT = {
  auto_mapping: null,
  base_model_name_or_path: 'sentence-transformers/all-MiniLM-L6-v2',
  group_size: 8,
  inference_mode: true,
  init_weights: true,
  modules_to_save: ['classifier', 'score'],
  peft_type: 'ROAD',
  peft_version: '0.21.2',
  revision: null,
  target_modules: ['key'],
  task_type: 'SEQ_CLS',
  variant: 'road_1',
};

type Shapes = Readonly<Record<string, number[] | null>>;
const SHAPES: Shapes = {
  [THETA]: [4],
  [ALPHA]: [4],
  [classifierTensorName('weight')]: [3, 8],
  [classifierTensorName('bias')]: [3],
};

/** All numbers of which are far too large. */
const HUGE = Object.fromEntries(
  Object.entries(SHAPES).map(([name, shape]) => [name, [shape!, 1e6] as const]),
);

function describeFile(shapes: Shapes = {}, config: object = {}) {
  return describeFiles({ ...FROM_PEFT, ...config }, zeros({ ...SHAPES, ...shapes }));
}

describe("a RoAd adapter of PEFT's", () => {
  it.each([
    ['road_1', 4],
    ['road_2', 8],
    ['road_4', 16],
  ])('has an angle and a scale for what a variant turns alike: %s, %i', (variant, size) => {
    const description = describeFile({ [THETA]: [size], [ALPHA]: [size] }, { variant });
    expect(description).toMatchObject({ method: 'road', family: 'bert', classifier: { labels: 3 } });
    expect(description.targets).toMatchObject([{ module: KEY, outFeatures: 8, variant, groupSize: 8 }]);
    checkAgainstBase(description, BASE, WHAT);
    const config = parseAdapterConfig(JSON.stringify({ ...FROM_PEFT, variant }), WHAT);
    expect(formatOf('road').methodOf(config, description.targets, FAMILIES.bert)).toEqual({
      type: 'road',
      variant,
      group_size: 8,
      target_modules: ['attention.self.key'],
    });
  });

  it.each<[string, Shapes, object, string]>([
    ['another number of scales', { [ALPHA]: [8] }, {}, `road_alpha of ${KEY} is [8], road_theta is [4]`],
    ['no scales', { [ALPHA]: null }, {}, `${ALPHA} is missing`],
    [
      'groups that do not fill a layer',
      {},
      { group_size: 6 },
      'has 8 outputs, which groups of 6 do not fill',
    ],
    ["groups of PEFT's own size", {}, { group_size: undefined }, 'which groups of 64 do not fill'],
    ['an odd group', {}, { group_size: 3 }, 'group_size: '],
    ['another variant', {}, { variant: 'road_3' }, 'variant: '],
    ['a key of another method', {}, { use_dora: true }, '"use_dora" is not supported'],
    ['a tensor of another method', { [tensorName(KEY, 'ia3_l')]: [8, 1] }, {}, 'is neither a RoAd vector'],
  ])('is refused with %s', (_name, shapes, config, message) => {
    expect(() => describeFile(shapes, config)).toThrow(message);
  });

  it('is refused where a number is huge', () => {
    expect(() => describeFiles(FROM_PEFT, HUGE)).toThrow(
      `road_alpha of ${KEY}, twice, has a norm of 4.00e+6`,
    );
  });

  it('is refused on a base model of another width', () => {
    expect(() => checkAgainstBase(describeFile(), { ...BASE, hidden_size: 16 }, WHAT)).toThrow(
      `road_theta of ${KEY} is [4], the base model needs [8]`,
    );
  });

  it('has a configuration that is read back, of the keys that PEFT writes', () => {
    const method: RoadConfig = {
      type: 'road',
      variant: 'road_2',
      group_size: 4,
      target_modules: 'all-linear',
      pooling: 'mean',
      base_precision: 'fp32',
    };
    const encoder = bertOf(8);
    const text = adapterConfigJson({ method, encoder, modules: [KEY], baseModel: 'base', revision: null });
    expect(Object.keys(JSON.parse(text))).toEqual(
      Object.keys(FROM_PEFT).filter((key) => key !== 'peft_version'),
    );
    expect(JSON.parse(text).target_modules).toEqual([KEY]);
    expect(parseAdapterConfig(text, WHAT)).toMatchObject({ method: 'road', variant: 'road_2', groupSize: 4 });
  });
});
