import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  autoPrecision,
  decidePrecision,
  type MeasuredPrecision,
  parseKept,
} from '../../../gpu-node/precision/auto-precision.ts';
import { Random } from '../../../gpu-node/random.ts';
import { recordingLog } from '../../support/logs.ts';
import { withFolder } from '../../support/tiny-bert.ts';

describe('a race of two precisions', () => {
  /** Rounds and decision of a race whose runs take these milliseconds at best, and longer under load. */
  function run(
    fp32: number,
    int8: number,
    random?: Random,
  ): { rounds: number; precision: MeasuredPrecision } {
    const times = { fp32: [] as number[], int8: [] as number[] };
    const late = () => (random && random.below(4) > 0 ? 1 + random.below(20) : 0);
    for (;;) {
      times.fp32.push(fp32 + late());
      times.int8.push(int8 + late());
      const precision = decidePrecision(times);
      if (precision) return { rounds: times.fp32.length, precision };
    }
  }

  it('takes 8 bits where they are so much faster, and float32 where they are not', () => {
    expect(run(4, 1)).toEqual({ rounds: 24, precision: 'int8' });
    expect(run(1.1, 1)).toEqual({ rounds: 24, precision: 'fp32' });
  });

  it('goes on where it is close, and takes float32 in doubt', () => {
    for (const fp32 of [1.3, 1.5, 1.7]) expect(run(fp32, 1)).toEqual({ rounds: 192, precision: 'fp32' });
  });

  it.each([1, 1.2, 1.5, 2, 4])(
    'comes to the same under load, runs of float32 taking %d times as long',
    (ratio) => {
      const still = run(ratio, 1).precision;
      for (let seed = 0; seed < 200; seed++)
        expect(run(ratio, 1, new Random(seed, 'load')).precision).toBe(still);
    },
  );
});

describe('what "auto" came to', () => {
  /** Starts that measure this and that in turn, as under load; gives what each took, and how often it measured. */
  function starts(home: string, measured: MeasuredPrecision[] = ['fp32', 'int8']) {
    const { log, lines } = recordingLog();
    let count = 0;
    const start = (processor = 'a processor', device: 'cpu' | 'webgpu' = 'cpu') =>
      autoPrecision({
        home,
        device,
        log,
        processor,
        measure: async () => measured[count++ % measured.length]!,
      });
    return { start, lines, measurements: () => count };
  }

  it('stays what it was at the first start, on this processor with this runtime', () =>
    withFolder(async (home) => {
      const { start, measurements } = starts(join(home, 'new'));
      expect([await start(), await start(), await start()]).toEqual(['fp32', 'fp32', 'fp32']);
      expect([await start('another'), await start('another'), await start()]).toEqual([
        'int8',
        'int8',
        'fp32',
      ]);
      expect(measurements()).toBe(2);
      expect(await readdir(join(home, 'new'))).toEqual(['auto-precision.json']);
    }));

  it('is measured anew where its file is gone, and never on another device', () =>
    withFolder(async (home) => {
      const first = starts(join(home, 'a'), ['fp32']);
      expect(await first.start()).toBe('fp32');
      const second = starts(join(home, 'b'), ['int8']);
      expect([await second.start('any', 'webgpu'), second.measurements()]).toEqual(['fp32', 0]);
      expect([await second.start(), second.measurements()]).toEqual(['int8', 1]);
    }));

  it.each([
    ['no JSON', '{'],
    ['another shape', '{"a processor": "int8"}'],
    ['an unknown precision', '[{"processor": "a processor", "precision": "int4"}]'],
    ['a field more', '[{"processor": "a processor", "precision": "int8", "__proto__": {}, "x": 1}]'],
    [
      'more than it may hold',
      JSON.stringify(Array(33).fill({ processor: 'a processor', precision: 'int8' })),
    ],
    ['megabytes', ' '.repeat(2 ** 21)],
    ['nothing', ''],
  ])('is measured anew, and said, where the file holds %s', (_, text) =>
    withFolder(async (home) => {
      await writeFile(join(home, 'auto-precision.json'), text);
      const { start, lines } = starts(home);
      expect([await start(), await start()]).toEqual(['fp32', 'fp32']);
      expect(lines.map(({ message }) => message)).toEqual([
        'this file does not hold what a start measured: measured anew',
        'measured which precision is faster',
      ]);
    }),
  );

  it('is taken as measured, with a warning, where it cannot be kept', () =>
    withFolder(async (home) => {
      await mkdir(join(home, 'auto-precision.json'));
      const { start, lines } = starts(home);
      expect(await start()).toBe('fp32');
      expect(lines.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual([
        'what was measured cannot be read',
        'what was measured cannot be kept',
      ]);
    }));

  it('is kept for a bounded number of processors, the newest', () =>
    withFolder(async (home) => {
      const { start } = starts(home);
      for (let i = 0; i < 40; i++) await start(`processor ${i}`);
      const kept = parseKept(await readFile(join(home, 'auto-precision.json'), 'utf8'));
      expect(kept?.map(({ processor }) => processor)).toEqual(
        Array.from({ length: 32 }, (_, i) => `processor ${i + 8}`),
      );
    }));
});
