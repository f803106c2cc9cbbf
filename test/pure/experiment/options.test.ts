import { describe, expect, it } from 'vitest';
import { requestOf } from '../../../scripts/experiment/configurations.ts';
import { type Options, parseOptions } from '../../../scripts/experiment/options.ts';
import { runsOf } from '../../../scripts/experiment/plan.ts';
import { peftConfig } from '../../../shared/peft-config.ts';

const parse = (...args: string[]) => parseOptions(['--data', 'FOLDER', ...args]) as Options;
const namesOf = (options: Options) => [...new Set(runsOf(options).map(({ configuration }) => configuration))];

describe('the command line', () => {
  it('trains every set with five seeds where nothing else is said', () => {
    const options = parse();
    expect(options).toMatchObject({ mode: 'accuracy', protocol: 'held-out', seeds: [1, 2, 3, 4, 5] });
    expect(options.sets).toHaveLength(6);
  });

  it('compares every method there is, with few examples and with all', () => {
    const options = parseOptions(['methods', '--data', 'FOLDER']) as Options;
    const types = options.configurations.map(({ settings }) => requestOf(settings).method.type);
    expect(types).toEqual(peftConfig.options.map(({ shape }) => shape.type.value));
    expect(options.shots).toEqual([16, null]);
  });

  it.each([
    [['--only', 'ag_news,spam'], /--only is "spam"; known: ag_news, /],
    [['--configs', 'best'], /--configs is "best"; known: auto, /],
    [['--protocol', 'none'], /--protocol is "none"; known: held-out, published, explore/],
    [['--precisions', 'int3'], /--precisions is "int3"; known: fp32/],
    [['--factors', 'seed'], /--factors is "seed"; known: max_length, /],
    [['--seeds', '0'], /--seeds is "0"; it must be a whole number/],
    [['--shots', '8,many'], /--shots is "many"/],
    [['--name', '../other'], /--name is "..\/other"/],
    [['--variant', 'auto: r=4'], /there is a configuration of this name/],
    [['accuracy', 'ablation'], /one mode is run at a time/],
    [['--sed', '1'], /--sed/],
  ])('refuses %j with what is known', (args, message) => {
    expect(() => parse(...args)).toThrow(message);
  });

  it('refuses to start without data', () => {
    expect(() => parseOptions([])).toThrow('--data FOLDER is needed');
  });

  it('runs variants alone, or beside what is named', () => {
    expect(namesOf(parse('--variant', 'a: r=4', '--variant', 'b: r=2'))).toEqual(['a', 'b']);
    expect(namesOf(parse('--variant', 'a: r=4', '--configs', 'auto,a'))).toEqual(['auto', 'a']);
  });

  it('cuts a smoke test down, but not below what is asked for', () => {
    expect(parse('--quick')).toMatchObject({ limit: 64, seeds: [1] });
    expect(parse('--quick', '--limit', '100', '--seeds', '2')).toMatchObject({ limit: 100, seeds: [1, 2] });
  });
});

describe('the runs', () => {
  it('of accuracy are every configuration on every set, seed by seed', () => {
    const runs = runsOf(parse('--configs', 'auto,peft', '--only', 'ag_news,imdb_sample', '--seeds', '2'));
    expect(runs.map(({ configuration, set, seed }) => `${seed} ${configuration} ${set}`)).toEqual([
      '1 auto ag_news',
      '1 auto imdb_sample',
      '1 peft ag_news',
      '1 peft imdb_sample',
      '2 auto ag_news',
      '2 auto imdb_sample',
      '2 peft ag_news',
      '2 peft imdb_sample',
    ]);
  });

  it('of an ablation change one setting at a time, and train the centre once', () => {
    const options = parse('ablation', '--factors', 'r,pooling', '--only', 'ag_news', '--seeds', '1');
    expect(namesOf(options)).toEqual(['lora r=2', 'lora', 'lora r=16', 'lora r=64', 'lora pooling=cls']);
    expect(runsOf(options)).toHaveLength(5);
    const centre = runsOf(options).find(({ configuration }) => configuration === 'lora')!;
    const changed = runsOf(options).find(({ configuration }) => configuration === 'lora r=64')!;
    expect(changed.settings).toEqual({ ...centre.settings, method: { ...centre.settings.method, r: 64 } });
  });

  it('of few shots draw ten times, but train on all examples five times', () => {
    const options = parse('few-shot', '--shots', '8,all', '--only', 'ag_news', '--configs', 'auto');
    const shots = runsOf(options).map((run) => run.shots);
    expect(shots.filter((each) => each === 8)).toHaveLength(10);
    expect(shots.filter((each) => each === null)).toHaveLength(5);
  });
});
