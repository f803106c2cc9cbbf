import { describe, expect, it } from 'vitest';
import { checkAgainstBase } from '../../../../shared/adapter-description.ts';
import { HUB_NAME } from '../../../../shared/adapterhub-config.ts';
import { FAMILIES } from '../../../../shared/families.ts';
import { bottleneckTensorNames } from '../../../../shared/methods/bottleneck.ts';
import { hubLoraNames } from '../../../../shared/methods/hub-lora.ts';
import { hubPrefixGateName, hubPrefixName } from '../../../../shared/methods/hub-prefix.ts';
import { formatOf } from '../../../../shared/methods/index.ts';
import { virtualTokensOf } from '../../../../shared/methods/text-room.ts';
import { peftRequest, type UnipeltConfig } from '../../../../shared/peft-config.ts';
import { WHAT } from '../../../support/describe-files.ts';
import { type Shapes, unionFiles } from '../../../support/describe-union.ts';

const HIDDEN = 8;
const WIDE = 32;
const LAYERS = 2;
const BASE = {
  family: 'bert' as const,
  hidden_size: HIDDEN,
  num_layers: LAYERS,
  intermediate_size: WIDE,
};
const UNIPELT: UnipeltConfig = {
  type: 'unipelt',
  num_virtual_tokens: 3,
  prefix_projection: false,
  encoder_hidden_size: 16,
  dropout: 0,
  width: 4,
  activation: 'relu',
  scaling: 2,
  r: 2,
  target_modules: ['key', 'output'],
  pooling: 'cls',
  base_precision: 'fp32',
};
const PREFIX = hubPrefixName(FAMILIES.bert, HUB_NAME);
const layer = (index: number) => {
  const at = `bert.encoder.layer.${index}`;
  return {
    bottleneck: bottleneckTensorNames(`${at}.output`, HUB_NAME),
    key: hubLoraNames(`${at}.attention.self.key`, HUB_NAME),
    output: hubLoraNames(`${at}.output.dense`, HUB_NAME),
    prefixGate: hubPrefixGateName(FAMILIES.bert, index, HUB_NAME),
  };
};

/** The tensors of a layer. */
function layerShapes(index: number): Shapes {
  const { bottleneck, key, output, prefixGate } = layer(index);
  const gate = (name: string, width: number) => ({ [`${name}.weight`]: [1, width], [`${name}.bias`]: [1] });
  return {
    [bottleneck.down]: [UNIPELT.width, HIDDEN],
    [bottleneck.downBias]: [UNIPELT.width],
    [bottleneck.up]: [HIDDEN, UNIPELT.width],
    [bottleneck.upBias]: [HIDDEN],
    ...gate(bottleneck.gate, HIDDEN),
    [key.a]: [UNIPELT.r, HIDDEN],
    [key.b]: [HIDDEN, UNIPELT.r],
    ...gate(key.gate, HIDDEN),
    [output.a]: [UNIPELT.r, WIDE],
    [output.b]: [HIDDEN, UNIPELT.r],
    ...gate(output.gate, WIDE),
    ...gate(prefixGate, HIDDEN),
  };
}

const SHAPES: Shapes = {
  [PREFIX]: [UNIPELT.num_virtual_tokens * 2 * LAYERS * HIDDEN],
  ...layerShapes(0),
  ...layerShapes(1),
  'classifier.weight': [3, HIDDEN],
  'classifier.bias': [3],
};
const without = (shapes: Shapes): Shapes =>
  Object.fromEntries(Object.keys(shapes).map((name) => [name, null]));
const { settings, withKeys, parse, describe: describeFile } = unionFiles(UNIPELT, HIDDEN, SHAPES);
const [PREFIXES, BOTTLENECK, LORA] = [0, 1, 2];

describe('a UniPELT adapter in AdapterHub’s files', () => {
  it('is read as it is written', () => {
    const description = describeFile();
    expect(() => checkAgainstBase(description, BASE, WHAT)).not.toThrow();
    const { methodOf } = formatOf('unipelt');
    expect(methodOf(parse(), description.targets, FAMILIES.bert)).toEqual(
      Object.fromEntries(
        Object.entries(UNIPELT).filter(([name]) => name !== 'pooling' && name !== 'base_precision'),
      ),
    );
  });

  it('is read from the settings in any order', () => {
    expect(describeFile({}, 0, settings().reverse()).targets).toHaveLength(1 + LAYERS + 2 * LAYERS);
  });

  it('is read with layers left out by its bottleneck, and others by LoRA', () => {
    const { bottleneck, key, output } = { ...layer(0), bottleneck: layer(1).bottleneck };
    const gone = [bottleneck, key, output].flatMap(({ gate, ...names }) => [
      ...Object.values(names),
      `${gate}.weight`,
      `${gate}.bias`,
    ]);
    const configs = settings().map((each, i) => ({ ...each, leave_out: [[], [1], [0]][i] }));
    const description = describeFile(Object.fromEntries(gone.map((name) => [name, null])), 0, configs);
    expect(description.targets).toHaveLength(1 + 1 + 2);
    expect(() => checkAgainstBase(description, BASE, WHAT)).not.toThrow();
  });

  it('takes no positions from the text', () => {
    expect(virtualTokensOf(UNIPELT)).toBe(0);
  });

  it.each<[string, Shapes, string]>([
    ['no prefix', { [PREFIX]: null }, `tensor ${PREFIX} is missing`],
    ['no factor', { [layer(1).key.b]: null }, `tensor ${layer(1).key.b} is missing`],
    [
      'no gate of a factor',
      { [`${layer(1).key.gate}.weight`]: null },
      'key.loras.weft.gate.weight is missing',
    ],
    [
      'no gate of a bottleneck',
      { [`${layer(0).bottleneck.gate}.bias`]: null },
      'output.adapters.weft.gate.bias is missing',
    ],
    [
      'no gate of the prefix in the first layer',
      { [`${layer(0).prefixGate}.weight`]: null },
      'layer.0.attention.self.prefix_tuning.prefix_gates.weft.weight is missing',
    ],
    [
      'no gate of the prefix at all',
      without({
        [`${layer(0).prefixGate}.weight`]: [],
        [`${layer(0).prefixGate}.bias`]: [],
        [`${layer(1).prefixGate}.weight`]: [],
        [`${layer(1).prefixGate}.bias`]: [],
      }),
      'layer.0.attention.self.prefix_tuning.prefix_gates.weft.weight is missing',
    ],
    [
      'a tensor too many',
      { 'bert.x': [1] },
      'tensor bert.x is neither a tensor of prefix_tuning, bottleneck, lora of a BERT encoder',
    ],
    [
      'LoRA in a layer that its settings do not name',
      { [hubLoraNames('bert.encoder.layer.0.attention.self.value', HUB_NAME).a]: [UNIPELT.r, HIDDEN] },
      'value.loras.weft.lora_A is neither',
    ],
    [
      'factors of another rank',
      { [layer(0).key.a]: [3, HIDDEN] },
      'lora_A of bert.encoder.layer.0.attention.self.key is [3,8] and lora_B [8,2], adapter_config.json gives them rank 2',
    ],
    ['a gate of one dimension', { [`${layer(0).key.gate}.weight`]: [HIDDEN] }, '2 dimensions greater than 0'],
  ])('is refused with %s', (_, shapes, message) => {
    expect(() => describeFile(shapes)).toThrow(message);
  });

  it.each<[string, Shapes, string]>([
    [
      'a gate of another width',
      { [`${layer(1).output.gate}.weight`]: [1, HIDDEN] },
      'weight of bert.encoder.layer.1.output.dense.loras.weft.gate is [1,8], the base model needs [1,32]',
    ],
    [
      'a gate with two outputs',
      { [`${layer(1).bottleneck.gate}.weight`]: [2, HIDDEN] },
      'is [2,8], the base model needs [1,8]',
    ],
    ['a gate with two biases', { [`${layer(1).prefixGate}.bias`]: [2] }, 'is [2], the base model needs [1]'],
    [
      'too few gates of the prefix',
      without({ [`${layer(1).prefixGate}.weight`]: [], [`${layer(1).prefixGate}.bias`]: [] }),
      'it is for an encoder of 1 layers, the base model has 2',
    ],
  ])('is refused on a base model with %s', (_, shapes, message) => {
    const description = describeFile(shapes);
    expect(() => checkAgainstBase(description, BASE, WHAT)).toThrow(message);
  });

  it('is refused with numbers that are none, or beyond bounds', () => {
    expect(() => describeFile({}, Number.NaN)).toThrow('NaN');
    expect(() => describeFile({}, 1e6)).toThrow('has a norm of');
    // Of gates too, whatever the rest.
    const { gainsOf } = formatOf('unipelt');
    const gains = describeFile().targets.flatMap((target) => gainsOf(target, () => 7));
    for (const gate of Object.keys(SHAPES).filter((name) => /gate/.test(name))) {
      expect(gains.map(([name]) => name)).toContain(gate.replace(/(.+)\.(weight|bias)$/, '$2 of $1'));
    }
  });

  it.each<[string, () => unknown, string]>([
    [
      'two methods of one kind',
      () => [...settings(), settings()[LORA]],
      'config.configs: lora is there twice, and two methods of one kind would change one place',
    ],
    [
      'a member too few',
      () => settings().slice(1),
      'a union of bottleneck, lora is not served, only one of prefix_tuning, bottleneck, lora',
    ],
    [
      'a bottleneck placed otherwise',
      () => withKeys(BOTTLENECK, { is_parallel: true, original_ln_before: false }),
      'its bottleneck is placed as parallel, of a union with a prefix only seq_bn is served',
    ],
    [
      'a member without a gate',
      () => withKeys(LORA, { use_gating: false }),
      'config.configs.2: use_gating: of a union with LoRA only one with gates is served',
    ],
    [
      'a gate for keys and one for values',
      () => withKeys(PREFIXES, { shared_gating: false }),
      'shared_gating: only one gate for keys and values is served',
    ],
    ['(IA)³ for LoRA', () => withKeys(LORA, { composition_mode: 'scale' }), 'composition_mode: only "add"'],
    ['VeRA for LoRA', () => withKeys(LORA, { vera_d: 0.1 }), 'vera_d: VeRA is not served'],
    ['a rank of 0', () => withKeys(LORA, { r: 0 }), 'config.configs.2: r'],
    [
      'LoRA of no layer',
      () => withKeys(LORA, { selfattn_lora: false, output_lora: false }),
      'it has no LoRA matrix',
    ],
    ['an unknown matrix', () => withKeys(LORA, { attn_matrices: ['o'] }), 'attn_matrices'],
    ['an unknown key of a member', () => withKeys(LORA, { new_thing: 1 }), '"new_thing" is not supported'],
  ])('is refused with %s in its settings', (_, configs, message) => {
    expect(() => describeFile({}, 0, configs())).toThrow(message);
  });
});

describe('a request of UniPELT', () => {
  it.each([
    ['width', 0],
    ['num_virtual_tokens', 0],
    ['r', 0],
    ['target_modules', []],
    ['target_modules', 'all-linear'],
    ['target_modules', ['attention.output.dense']],
    ['alpha', 8],
  ])('is refused with a %s of %j', (field, value) => {
    expect(peftRequest.safeParse({ type: 'unipelt', [field]: value }).success).toBe(false);
  });
});
