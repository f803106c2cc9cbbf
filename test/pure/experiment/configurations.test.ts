import { describe, expect, it } from 'vitest';
import {
  CONFIGURATIONS,
  onPrecisions,
  parseVariant,
  requestOf,
} from '../../../scripts/experiment/configurations.ts';

describe('the table of configurations', () => {
  it.each(CONFIGURATIONS)('$name is a request that the API would take', ({ settings }) => {
    expect(() => requestOf(settings)).not.toThrow();
  });

  it('has no name twice', () => {
    const names = CONFIGURATIONS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  it('leaves everything to the platform in "auto"', () => {
    const { method, hyperparameters } = requestOf(
      CONFIGURATIONS.find(({ name }) => name === 'auto')!.settings,
    );
    const { type, ...fields } = method;
    expect(type).toBe('lora');
    expect(new Set([...Object.values(fields), ...Object.values(hyperparameters)])).toEqual(new Set(['auto']));
  });
});

describe('a variant', () => {
  it('gives fields of the method and of training, and leaves the others to "auto"', () => {
    const { name, settings } = parseVariant(
      'wide: r=16 target_modules=query+output.dense learning_rate=5e-4',
    );
    expect(name).toBe('wide');
    expect(settings.method).toEqual({ r: 16, target_modules: ['query', 'output.dense'] });
    expect(settings.hyperparameters).toEqual({ learning_rate: 5e-4 });
  });

  it('takes the name of all linear layers as it is', () => {
    expect(parseVariant('a: target_modules=all-linear').settings.method).toEqual({
      target_modules: 'all-linear',
    });
  });

  it('is refused with the fields that there are where it names another', () => {
    expect(() => parseVariant('a: rank=8')).toThrow(/rank is no setting; these are: .*\br\b.*learning_rate/);
  });

  it('is refused where a request could not carry the value', () => {
    expect(() => parseVariant('a: r=0')).toThrow(/--variant a: r: /);
  });

  it('is refused without a name', () => {
    expect(() => parseVariant('r=8')).toThrow('NAME: field=value');
  });
});

describe('precisions', () => {
  const find = (wanted: string) => CONFIGURATIONS.find(({ name }) => name === wanted)!;

  it('make a row each of one of Weft’s configurations', () => {
    const rows = onPrecisions(find('auto'), ['fp32', 'int8']);
    expect(rows.map(({ name }) => name)).toEqual(['auto-fp32', 'auto-int8']);
    expect(rows.map(({ settings }) => settings.method.base_precision)).toEqual(['fp32', 'int8']);
  });

  it('leave a peer as it is', () => {
    expect(onPrecisions(find('peft'), ['fp32', 'int8'])).toEqual([find('peft')]);
  });
});
