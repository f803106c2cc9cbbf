import { beforeAll, beforeEach, expect, it } from 'vitest';
import { adapters, jobs, objects } from '../../edge/db/schema.ts';
import { EXAMPLES } from './support/adapters.ts';
import { type Client, db, makeTenant, problemOf } from './support/api.ts';
import { TestNode } from './support/nodes.ts';

/** Tokens that the base model reads. */
const LONGEST = 64;

let client: Client;
let node: TestNode;
beforeAll(async () => {
  client = await makeTenant();
  node = await new TestNode().register(['fp32', 'int8'], { max_length: LONGEST });
});
// A node that was heard of too long ago is not alive, however slow the machine.
beforeEach(async () => {
  await node.beat();
});

function post(method: object, max_length: number | 'auto') {
  const json = {
    name: 'x',
    examples: EXAMPLES,
    base_model: node.baseModel,
    method,
    hyperparameters: { max_length },
  };
  return client.call('/v1/adapters', { json });
}

async function everything() {
  return [await db.$count(jobs), await db.$count(adapters), await db.$count(objects)];
}

type Case = [method: { type: string; [field: string]: unknown }, param: string, says: RegExp | string];

const PROMPTS = ['prompt_tuning', 'p_tuning', 'prefix_tuning'];
const ALL_TYPES =
  /"lora", "qlora", "ia3", "bitfit", "prompt_tuning", "p_tuning", "prefix_tuning", "road", "full", "bottleneck", "mam", "unipelt"/;

/** Faults of a method's fields alone. */
const FIELDS: Case[] = [
  [{ type: 'prefix' }, 'method.type', ALL_TYPES],
  [{ type: '' }, 'method.type', ALL_TYPES],
  ...PROMPTS.flatMap((type): Case[] => [
    [{ type, num_virtual_tokens: 0 }, 'method.num_virtual_tokens', '>=1'],
    [{ type, num_virtual_tokens: 505 }, 'method.num_virtual_tokens', '<=504'],
    [{ type, num_virtual_tokens: 2.5 }, 'method.num_virtual_tokens', 'int'],
    [{ type, r: 8 }, 'method.r', /unknown field; there are type, num_virtual_tokens, /],
  ]),
  [{ type: 'prompt_tuning', init: 'zeros' }, 'method.init', '"vocabulary"'],
  [{ type: 'prompt_tuning', init: { text: '' } }, 'method.init.text', '>=1'],
  [{ type: 'p_tuning', encoder: 'gru' }, 'method.encoder', '"lstm"'],
  [{ type: 'p_tuning', encoder_hidden_size: 0 }, 'method.encoder_hidden_size', '>=1'],
  [{ type: 'p_tuning', encoder_num_layers: 5 }, 'method.encoder_num_layers', '<=4'],
  [{ type: 'p_tuning', encoder_dropout: 1 }, 'method.encoder_dropout', '<=0.9'],
  [{ type: 'prefix_tuning', encoder_hidden_size: 0 }, 'method.encoder_hidden_size', '>=1'],
  [{ type: 'prefix_tuning', encoder_hidden_size: 1025 }, 'method.encoder_hidden_size', '<=1024'],
  [{ type: 'prefix_tuning', prefix_projection: 'yes' }, 'method.prefix_projection', 'boolean'],
  [{ type: 'prefix_tuning', dropout: -0.1 }, 'method.dropout', '>=0'],
  [{ type: 'bottleneck', width: 0 }, 'method.width', '>=1'],
  [{ type: 'bottleneck', width: 1025 }, 'method.width', '<=1024'],
  [{ type: 'bottleneck', placement: 'between' }, 'method.placement', '"houlsby"'],
  [{ type: 'bottleneck', activation: 'mish' }, 'method.activation', '"swish"'],
  [{ type: 'bottleneck', scaling: 0 }, 'method.scaling', '>0'],
  [
    { type: 'bottleneck', reduction_factor: 16 },
    'method.reduction_factor',
    'there are type, placement, width',
  ],
  [{ type: 'mam', width: 0 }, 'method.width', '>=1'],
  [{ type: 'mam', num_virtual_tokens: 505 }, 'method.num_virtual_tokens', '<=504'],
  [{ type: 'mam', placement: 'houlsby' }, 'method.placement', 'there are type, num_virtual_tokens'],
  [{ type: 'unipelt', width: 0 }, 'method.width', '>=1'],
  [{ type: 'unipelt', num_virtual_tokens: 0 }, 'method.num_virtual_tokens', '>=1'],
  [{ type: 'unipelt', r: 257 }, 'method.r', '<=256'],
  [{ type: 'unipelt', target_modules: [] }, 'method.target_modules', '>=1'],
  [{ type: 'unipelt', target_modules: ['dense'] }, 'method.target_modules.0', '"intermediate"'],
  [{ type: 'unipelt', scaling: 0 }, 'method.scaling', '>0'],
  [{ type: 'unipelt', alpha: 16 }, 'method.alpha', 'there are type, num_virtual_tokens'],
  [{ type: 'road', variant: 'road_3' }, 'method.variant', '"road_4"'],
  [{ type: 'road', group_size: 0 }, 'method.group_size', '>=2'],
  [{ type: 'road', group_size: 3 }, 'method.group_size', 'multiple of 2'],
  [{ type: 'road', target_modules: [] }, 'method.target_modules', '>=1'],
  [{ type: 'road', alpha: 8 }, 'method.alpha', 'there are type, variant, group_size'],
  [{ type: 'ia3', target_modules: [] }, 'method.target_modules', '>=1'],
  [{ type: 'ia3', feedforward_modules: ['a b'] }, 'method.feedforward_modules.0', 'a module name'],
  [{ type: 'ia3', dropout: 0.1 }, 'method.dropout', 'there are type, target_modules, feedforward_modules'],
  [{ type: 'bitfit', biases: 'none' }, 'method.biases', '"query_and_intermediate"'],
  [{ type: 'bitfit', r: 1 }, 'method.r', 'there are type, biases'],
  [{ type: 'bitfit', base_precision: 'int4' }, 'method.base_precision', '"nf4"'],
  [{ type: 'road', base_precision: 'nf4' }, 'method.base_precision', 'is served as fp32, int8'],
  [{ type: 'full', r: 8 }, 'method.r', 'there are type, pooling, base_precision'],
];

it.each(FIELDS)('refuses method %j at %s and leaves nothing behind', async (method, param, says) => {
  const before = await everything();
  const refused = await post(method, 'auto');
  expect(problemOf(refused)).toEqual({ status: 422, code: 'invalid_request', param });
  expect(refused.body.detail).toMatch(says);
  expect(await everything()).toEqual(before);
});

it.each(PROMPTS)('refuses virtual tokens of %s that leave no room for a text', async (type) => {
  const before = await everything();
  const all = await post({ type, num_virtual_tokens: LONGEST - 7 }, 'auto');
  expect(problemOf(all)).toMatchObject({ status: 422, param: 'method.num_virtual_tokens' });
  expect(all.body.detail).toContain(`reads ${LONGEST} tokens; at most ${LONGEST - 8} leave the 8`);
  const short = await post({ type, num_virtual_tokens: 10 }, 17);
  expect(problemOf(short)).toMatchObject({ status: 422, param: 'hyperparameters.max_length' });
  expect(short.body.detail).toContain('10 of them are virtual tokens; at least 18 leave the 8');
  // "auto" is 20 of them.
  expect(problemOf(await post({ type }, 27))).toMatchObject({ param: 'hyperparameters.max_length' });
  expect(await everything()).toEqual(before);
  expect((await post({ type }, 28)).status).toBe(202);
  expect((await post({ type, num_virtual_tokens: LONGEST - 8 }, LONGEST)).status).toBe(202);
});

it('refuses more virtual tokens than an LSTM steps through', async () => {
  const wide = await new TestNode().register(['fp32'], { max_length: 512 });
  const json = {
    name: 'x',
    examples: EXAMPLES,
    base_model: wide.baseModel,
    method: { type: 'p_tuning', encoder: 'lstm', num_virtual_tokens: 129 },
  };
  const refused = await client.call('/v1/adapters', { json });
  expect(problemOf(refused)).toMatchObject({ status: 422, param: 'method.num_virtual_tokens' });
  expect(refused.body.detail).toContain('at most 128 with the encoder "lstm"');
});
