import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { METHODS } from '../../scripts/experiment/configurations.ts';
import { WeftEngine } from '../../scripts/experiment/weft-engine.ts';
import type { Example } from '../../shared/api/rows.ts';
import { runOf } from '../support/experiment.ts';
import { TINY_BERT, withFolder } from '../support/tiny-bert.ts';
import { toyTexts } from '../support/toy-task.ts';

/** One of each layout of files. */
const NAMES = ['auto-lora', 'auto-bottleneck'];

it.each(NAMES)('measures %s by what it saved, and by what serving answers', async (name) => {
  await withFolder(async (folder) => {
    const { settings } = METHODS.find((method) => method.name === name)!;
    const data = async (file: string, rows: Example[]) => {
      const path = join(folder, file);
      await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
      return { path, rows, sha256: '0'.repeat(64) };
    };
    const adapter = join(folder, 'adapter');
    await mkdir(adapter);
    const engine = new WeftEngine(join(folder, 'cache'));
    try {
      const { metrics, trainable_parameters, adapter_bytes } = await engine.measure({
        run: runOf({ settings: { ...settings, hyperparameters: { epochs: 1 } } }),
        data: {
          training: await data('train.jsonl', toyTexts(40, 1)),
          test: await data('test.jsonl', toyTexts(12, 2)),
        },
        base: {
          id: 'tiny-bert',
          folder: TINY_BERT,
          sha256: '0'.repeat(64),
          weightsFolder: folder,
          parameters: 1,
        },
        folder: adapter,
        device: 'cpu',
        threads: 1,
        signal: new AbortController().signal,
        onProgress: () => undefined,
      });
      expect(metrics.examples).toBe(12);
      expect(trainable_parameters).toBeGreaterThan(0);
      expect(adapter_bytes).toBeGreaterThan(4 * trainable_parameters);
    } finally {
      await engine.stop();
    }
  });
});
