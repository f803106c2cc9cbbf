import { describe, expect, it } from 'vitest';
import type { TokenBatch } from '../../../gpu-node/models/inputs.ts';
import { SERVING_METHODS } from '../../../gpu-node/peft/index.ts';
import type { ServedAdapter } from '../../../gpu-node/peft/method.ts';
import { Random } from '../../../gpu-node/random.ts';
import { type TrainingTask, taskTrainables } from '../../../gpu-node/train/graph.ts';
import type { LoraConfig, Pooling } from '../../../shared/peft-config.ts';
import type { Tensor } from '../../../shared/safetensors.ts';
import { evaluateOnce, loadAdapter, saveAdapter } from '../../support/adapters.ts';
import { MixedServer } from '../../support/serving.ts';
import { maxDifference, openFixture, withFolder } from '../../support/tiny-bert.ts';

const random = new Random(5, 'families');

/** Three rows of 9, 4 and 6 tokens. */
function batch(): TokenBatch {
  const [rows, length] = [3, 9];
  const inputIds = Int32Array.from({ length: rows * length }, () => 5 + random.below(150));
  const attentionMask = new Float32Array(rows * length);
  for (const [row, tokens] of [9, 4, 6].entries()) {
    attentionMask.fill(1, row * length, row * length + tokens);
    inputIds.fill(1, row * length + tokens, (row + 1) * length);
  }
  return { rows, length, inputIds, attentionMask };
}

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
      const serving = SERVING_METHODS.lora;
      const tokens = batch();
      const tasks: TrainingTask[] = [
        { base, config: config(2, 'mean', [query, value]), labels: 2 },
        { base, config: config(4, 'cls', 'all-linear'), labels: 5 },
      ];
      const adapters: ServedAdapter[] = [];
      const expected: Float32Array[] = [];
      for (const task of tasks) {
        const tensors = trained(task);
        await saveAdapter(task, tensors, folder);
        adapters.push(await loadAdapter(folder, base, serving));
        expected.push(await evaluateOnce(task, tensors, tokens));
      }
      const server = await MixedServer.create(base, serving, architecture.linears('cls'));
      const slots = [1, 2, 0];
      const rows = slots.map((slot) => ({ slot, pooling: tasks[slot - 1]?.config.pooling ?? 'mean' }));
      const { logits, labels } = await server.run(adapters, rows, tokens);
      await server.release();
      for (const [row, slot] of slots.entries()) {
        const given = logits.subarray(row * labels, (row + 1) * labels);
        const own = tasks[slot - 1]?.labels ?? 0;
        const wanted = expected[slot - 1]?.subarray(row * own, (row + 1) * own) ?? [];
        expect(maxDifference(given.subarray(0, own), wanted)).toBeLessThan(1e-5);
        expect(given.subarray(own).every((logit) => logit === 0)).toBe(true);
      }
    }));
});
