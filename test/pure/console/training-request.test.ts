import { describe, expect, it } from 'vitest';
import type { JsonSchema } from '../../../console/api/requests.ts';
import { kindOf, methodsOf, readTyped } from '../../../console/places/training/schema-fields.ts';
import { requestOf } from '../../../console/places/training/training-request.ts';

const orAuto = (...ways: JsonSchema[]): JsonSchema => ({
  anyOf: [{ type: 'string', enum: ['auto'] }, ...ways],
  default: 'auto',
});
const names: JsonSchema = { type: 'array', items: { type: 'string' } };
const schema: JsonSchema = {
  properties: {
    seed: { type: 'integer', minimum: 0, default: 42 },
    method: {
      anyOf: [
        { type: 'string', enum: ['auto'] },
        {
          type: 'object',
          properties: { type: { enum: ['auto'] }, pooling: orAuto({ enum: ['mean', 'cls'] }) },
        },
        {
          type: 'object',
          properties: {
            type: { enum: ['lora'] },
            r: orAuto({ type: 'integer', minimum: 1, maximum: 256 }),
            use_dora: orAuto({ type: 'boolean' }),
            target_modules: orAuto(names, { enum: ['all-linear'] }),
          },
        },
      ],
    },
    hyperparameters: {
      type: 'object',
      properties: {
        epochs: orAuto({ type: 'integer' }),
        class_weights: orAuto({ enum: ['none'] }, { type: 'object' }),
      },
    },
  },
};

describe('a field of the training form', () => {
  it('is what its schema says', () => {
    const { r, use_dora, target_modules } = methodsOf(schema.properties!.method!).get('lora')!;
    expect(kindOf(r!)).toEqual({ kind: 'number', min: 1, max: 256, isWhole: true });
    expect(kindOf(use_dora!)).toEqual({ kind: 'choice', choices: ['true', 'false'] });
    expect(kindOf(target_modules!)).toEqual({ kind: 'text', choices: ['all-linear'], form: 'names' });
    expect([...methodsOf(schema.properties!.method!).keys()]).toEqual(['auto', 'lora']);
  });

  it('gives numbers, truths, names and objects as JSON has them', () => {
    const { r, use_dora, target_modules } = methodsOf(schema.properties!.method!).get('lora')!;
    const { class_weights } = schema.properties!.hyperparameters!.properties!;
    expect(readTyped(r!, '16')).toBe(16);
    expect(readTyped(use_dora!, 'false')).toBe(false);
    expect(readTyped(target_modules!, 'all-linear')).toBe('all-linear');
    expect(readTyped(target_modules!, 'query, value,')).toEqual(['query', 'value']);
    expect(readTyped(class_weights!, '{"spam": 2}')).toEqual({ spam: 2 });
    expect(readTyped(class_weights!, '{"spam"')).toBe('{"spam"');
  });
});

describe('the request of a form', () => {
  it('holds what was typed, and leaves out what was not', () => {
    const typed = {
      name: 'spam',
      training_file: 'file_1',
      base_model: '',
      seed: '7',
      'hyperparameters.epochs': ' 3 ',
    };
    expect(requestOf(typed, schema)).toEqual({
      name: 'spam',
      training_file: 'file_1',
      seed: 7,
      hyperparameters: { epochs: 3 },
    });
  });

  it('forgets the fields of a method that is no longer chosen', () => {
    const typed = { name: 'spam', 'method.type': 'auto', 'method.r': '8', 'method.pooling': 'cls' };
    expect(requestOf(typed, schema)).toEqual({ name: 'spam', method: { type: 'auto', pooling: 'cls' } });
  });
});
