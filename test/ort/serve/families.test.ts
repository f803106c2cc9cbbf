import { describe, expect, it } from 'vitest';
import { padToLongest } from '../../../gpu-node/models/inputs.ts';
import { Random } from '../../../gpu-node/random.ts';
import { Forward } from '../../../gpu-node/serve/forward.ts';
import { type TrainingTask, taskTrainables } from '../../../gpu-node/train/graph.ts';
import type { LoraConfig, Pooling } from '../../../shared/peft-config.ts';
import type { Tensor } from '../../../shared/safetensors.ts';
import { evaluateOnce, readAdapter, saveAdapter } from '../../support/adapters.ts';
import { maxDifference, openFixture, withFolder } from '../../support/tiny-bert.ts';

const random = new Random(5, 'families');

const texts = [9, 4, 6].map((length) => ({
  ids: Int32Array.from({ length }, () => 5 + random.below(150)),
}));

/** Tensors far from where training starts, so that a head's layer or bias that is forgotten shows. */
function trained(task: TrainingTask): Map<string, Tensor> {
  return new Map(
    taskTrainables(task).map(({ name, shape }) => {
      const data = Float32Array.from(
        { length: shape.reduce((a, b) => a * b, 1) },
        () => 0.4 * random.normal(),
      );
      return [name, { shape, data }];
    }),
  );
}

const config = (r: number, pooling: Pooling, target_modules: LoraConfig['target_modules']): LoraConfig => ({
  type: 'lora',
  r,
  alpha: 2 * r,
  dropout: 0,
  use_rslora: false,
  use_dora: false,
  target_modules,
  pooling,
  base_precision: 'fp32',
});

describe.each(['tiny-roberta', 'tiny-xlm-roberta', 'tiny-distilbert'])('%s', (model) => {
  it('serves adapters of several heads in one batch as training evaluated each, read from their files', () =>
    withFolder(async (folder) => {
      const base = await openFixture(model, folder);
      const { architecture } = base;
      const { query, value } = architecture.family.linears;
      const tasks: TrainingTask[] = [
        { base, config: config(2, 'mean', [query, value]), labels: 2 },
        { base, config: config(4, 'cls', 'all-linear'), labels: 5 },
      ];
      const plan = { lowRank: architecture.linears('cls').map(({ name }) => name) };
      const forward = await Forward.create({ base, plan, slots: 4, device: 'cpu', threads: 1 });
      const expected: Float32Array[] = [];
      for (const [i, task] of tasks.entries()) {
        const tensors = trained(task);
        await saveAdapter(task, tensors, folder);
        forward.load(`adapter ${i}`, await readAdapter(folder, base), task.config.pooling);
        expected.push(await evaluateOnce(task, tensors, padToLongest(texts)));
      }
      const adapters = ['adapter 0', 'adapter 1', null];
      const logits = await forward.run(texts.map((text, i) => ({ ...text, adapter: adapters[i]! })));
      await forward.release();
      for (const [i, { labels }] of tasks.entries()) {
        const wanted = expected[i]!.subarray(i * labels, (i + 1) * labels);
        expect(maxDifference(logits[i]!, wanted)).toBeLessThan(1e-5);
      }
      expect(logits[2]!.every((logit) => logit === 0)).toBe(true);
    }));
});
