import { describe, expect, it } from 'vitest';
import { checkAgainstBase } from '../../../../shared/adapter-description.ts';
import { HUB_NAME } from '../../../../shared/adapterhub-config.ts';
import { FAMILIES } from '../../../../shared/families.ts';
import { bottleneckTensorNames } from '../../../../shared/methods/bottleneck.ts';
import { hubPrefixName } from '../../../../shared/methods/hub-prefix.ts';
import { formatOf } from '../../../../shared/methods/index.ts';
import { virtualTokensOf } from '../../../../shared/methods/text-room.ts';
import { type MamConfig, peftRequest } from '../../../../shared/peft-config.ts';
import { WHAT } from '../../../support/describe-files.ts';
import { type Shapes, unionFiles } from '../../../support/describe-union.ts';

const HIDDEN = 8;
const LAYERS = 2;
const BASE = { family: 'bert' as const, hidden_size: HIDDEN, num_layers: LAYERS, intermediate_size: 32 };
const MAM: MamConfig = {
  type: 'mam',
  num_virtual_tokens: 3,
  prefix_projection: false,
  encoder_hidden_size: 16,
  dropout: 0,
  width: 4,
  activation: 'relu',
  scaling: 4,
  pooling: 'cls',
  base_precision: 'fp32',
};
const PREFIX = hubPrefixName(FAMILIES.bert, HUB_NAME);
const PREFIX_SIZE = MAM.num_virtual_tokens * 2 * LAYERS * HIDDEN;

const SHAPES: Shapes = {
  [PREFIX]: [PREFIX_SIZE],
  ...Object.fromEntries(
    Array.from({ length: LAYERS }, (_, index) => {
      const names = bottleneckTensorNames(`bert.encoder.layer.${index}.output`, HUB_NAME);
      const [down, up] = [
        [MAM.width, HIDDEN],
        [HIDDEN, MAM.width],
      ];
      return [
        [names.down, down],
        [names.downBias, [MAM.width]],
        [names.up, up],
        [names.upBias, [HIDDEN]],
      ];
    }).flat(),
  ),
  'classifier.weight': [3, HIDDEN],
  'classifier.bias': [3],
};

const { settings, withKeys, parse, describe: describeFile } = unionFiles(MAM, HIDDEN, SHAPES);

describe('a Mix-And-Match adapter in AdapterHub’s files', () => {
  it('is read as it is written', () => {
    const description = describeFile();
    expect(() => checkAgainstBase(description, BASE, WHAT)).not.toThrow();
    const { methodOf } = formatOf('mam');
    expect(methodOf(parse(), description.targets, FAMILIES.bert)).toEqual(
      Object.fromEntries(
        Object.entries(MAM).filter(([name]) => name !== 'pooling' && name !== 'base_precision'),
      ),
    );
  });

  it('is read from the settings in any order', () => {
    expect(describeFile({}, 0, settings().reverse()).targets).toHaveLength(1 + LAYERS);
  });

  it('takes no positions from the text', () => {
    expect(virtualTokensOf(MAM)).toBe(0);
  });

  it.each<[string, Shapes, string]>([
    ['a tensor too few', { [PREFIX]: null }, `tensor ${PREFIX} is missing`],
    [
      'a tensor too many',
      { 'bert.x': [1] },
      'tensor bert.x is neither a tensor of prefix_tuning, bottleneck of a BERT encoder',
    ],
    [
      'a prefix that is still a network',
      { [PREFIX]: null, [`${PREFIX}.0.weight`]: [2, 2] },
      'call model.eject_prefix_tuning',
    ],
    ['a prefix of two dimensions', { [PREFIX]: [1, PREFIX_SIZE] }, '1 dimensions greater than 0 are needed'],
  ])('is refused with %s', (_, shapes, message) => {
    expect(() => describeFile(shapes)).toThrow(message);
  });

  it('is refused with a prefix of another size', () => {
    const description = describeFile({ [PREFIX]: [PREFIX_SIZE + 1] });
    expect(() => checkAgainstBase(description, BASE, WHAT)).toThrow(
      `control_trans is [${PREFIX_SIZE + 1}], the base model needs [${PREFIX_SIZE}]`,
    );
  });

  it('is refused with numbers that are none, or beyond bounds', () => {
    expect(() => describeFile({}, Number.NaN)).toThrow('NaN');
    expect(() => describeFile({}, 1e6)).toThrow('control_trans has a norm of');
  });

  it.each<[string, () => unknown, string]>([
    [
      'two methods of one kind',
      () => [...settings(), settings()[1]],
      'config.configs: bottleneck is there twice, and two methods of one kind would change one place',
    ],
    [
      'a member too few',
      () => settings().slice(1),
      'a union of bottleneck is not served, only one of prefix_tuning, bottleneck',
    ],
    [
      'a member of another kind',
      () => [{ ...settings()[0], architecture: 'lora' }, settings()[1]],
      'a union of lora, bottleneck is not served',
    ],
    ['no members', () => [], 'configs'],
    [
      'another placement',
      () => withKeys(1, { is_parallel: false, original_ln_before: true }),
      'its bottleneck is placed as pfeiffer, of a union with a prefix only par_bn is served',
    ],
    ['a gate', () => withKeys(0, { use_gating: true }), '"use_gating" is not supported'],
    ['a prefix in some layers', () => withKeys(0, { leave_out: [1] }), 'leave_out: a prefix in some'],
    ['a prefix of nothing', () => withKeys(0, { prefix_length: 0 }), 'config.configs.0: prefix_length'],
    ['an unknown key of a member', () => withKeys(1, { new_thing: 1 }), '"new_thing" is not supported'],
  ])('is refused with %s in its settings', (_, configs, message) => {
    expect(() => parse(configs())).toThrow(message);
  });
});

describe('a request of Mix-And-Match', () => {
  it.each([
    ['width', 0],
    ['num_virtual_tokens', 0],
    ['scaling', -1],
    ['placement', 'houlsby'],
  ])('is refused with a %s of %s', (field, value) => {
    expect(peftRequest.safeParse({ type: 'mam', [field]: value }).success).toBe(false);
  });
});
