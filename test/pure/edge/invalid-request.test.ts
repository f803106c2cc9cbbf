import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { invalidRequest } from '../../../edge/invalid-request.ts';
import { createAdapter } from '../../../shared/api/adapters.ts';
import { classifyRequest } from '../../../shared/api/inference.ts';

function complaint(schema: z.ZodType, value: unknown) {
  const { error } = schema.safeParse(value);
  const { param, message } = invalidRequest(error!);
  return { param, message };
}

const given = { name: 'x', training_file: 'file_1' };

describe('invalidRequest', () => {
  it('names the field, its fault, and that "auto" is allowed', () => {
    const { param, message } = complaint(createAdapter, { ...given, hyperparameters: { epochs: 0 } });
    expect(param).toBe('hyperparameters.epochs');
    expect(message).toMatch(/^hyperparameters\.epochs: .*>=1$/);
    expect(complaint(createAdapter, { ...given, hyperparameters: { epochs: 'many' } }).message).toMatch(
      /number.*, or "auto"$/,
    );
  });

  it('follows nested unions to the field', () => {
    const method = { type: 'lora', target_modules: ['query', 'a b'] };
    expect(complaint(createAdapter, { ...given, method }).param).toBe('method.target_modules.1');
  });

  it('takes a method without a type as LoRA', () => {
    const { method } = createAdapter.parse({ ...given, method: { r: 4 } });
    expect(method).toMatchObject({ type: 'lora', r: 4, alpha: 'auto' });
    const { param, message } = complaint(createAdapter, { ...given, method: { r: 0 } });
    expect(param).toBe('method.r');
    expect(message).toMatch(/^method\.r: .*>=1$/);
  });

  it('takes QLoRA as LoRA over a base model in NF4, and as nothing else', () => {
    const parse = (method: object) => createAdapter.parse({ ...given, method }).method;
    expect(parse({ type: 'qlora', r: 4 })).toEqual(parse({ type: 'lora', r: 4, base_precision: 'nf4' }));
    expect(parse({ type: 'qlora', base_precision: 'nf4' })).toEqual(parse({ type: 'qlora' }));
    const method = { type: 'qlora', base_precision: 'int8' };
    expect(complaint(createAdapter, { ...given, method }).param).toBe('method.base_precision');
  });

  it('says of a body that is no object that it is none', () => {
    expect(complaint(createAdapter, [])).toEqual({
      param: undefined,
      message: 'The body: Invalid input: expected object, received array',
    });
  });

  it('refuses half a surrogate pair in metadata, key or value', () => {
    const metadata = (map: object) => complaint(createAdapter, { ...given, metadata: map });
    expect(metadata({ team: 'a\ud800' })).toEqual({
      param: 'metadata.team',
      message: 'metadata.team: holds half a surrogate pair',
    });
    expect(metadata({ 'a\udc00': 'mail' }).message).toContain('half a surrogate pair');
  });

  it('names an unknown field', () => {
    expect(complaint(createAdapter, { ...given, epochs: 3 }).param).toBe('epochs');
  });

  it('names the methods that there are beside one that there is not, and the fields of the method that is given', () => {
    const method = (fields: object) => complaint(createAdapter, { ...given, method: fields });
    expect(method({ type: 'x', r: 8 })).toEqual({
      param: 'method.type',
      message: expect.stringMatching(/^method\.type: expected one of .*"lora", "qlora", "ia3", "/),
    });
    expect(method({ type: 'ia3', r: 8 })).toEqual({
      param: 'method.r',
      message:
        'method.r: unknown field; there are type, target_modules, feedforward_modules, pooling, base_precision',
    });
  });

  it('names the values that there are beside one that there is not', () => {
    const said = (method: object) => complaint(createAdapter, { ...given, method });
    expect(said({ type: 'bottleneck', placement: 'between' })).toEqual({
      param: 'method.placement',
      message: 'method.placement: expected one of "auto", "pfeiffer", "houlsby", "parallel"',
    });
    expect(said({ type: 'prompt_tuning', init: 'zeros' })).toEqual({
      param: 'method.init',
      message: 'method.init: expected one of "auto", "random", "vocabulary", object',
    });
    expect(said({ type: 'lora', target_modules: 'all' }).message).toBe(
      'method.target_modules: expected one of "auto", "all-linear", array',
    );
    expect(said({ type: 'lora', pooling: 3 }).message).toBe(
      'method.pooling: expected one of "auto", "mean", "cls"',
    );
  });

  it('chooses the form of a classification that was meant', () => {
    expect(complaint(classifyRequest, { model: 'a', input: ['x', ''] }).param).toBe('input.1');
    expect(complaint(classifyRequest, { model: 'a', input: [] }).param).toBe('input');
    expect(complaint(classifyRequest, { model: 'a', input: '\u200b \n' }).message).toBe(
      'input: text is empty',
    );
    expect(complaint(classifyRequest, { model: 'a', input: ['x', 'y\ud800'] }).message).toBe(
      'input.1: text holds half a surrogate pair',
    );
    const tooMany = { model: 'a', input: Array(257).fill('x') };
    expect(complaint(classifyRequest, tooMany).message).toBe(
      'input: Too big: expected array to have <=256 items',
    );
    expect(
      complaint(classifyRequest, {
        input: [
          { model: 'a', text: 'x' },
          { model: 'A', text: 'x' },
        ],
      }).param,
    ).toBe('input.1.model');
    expect(complaint(classifyRequest, { input: ['x'] }).param).toBe('model');
    expect(complaint(classifyRequest, {}).param).toBe('input');
    expect(complaint(classifyRequest, 'text').param).toBeUndefined();
  });
});
