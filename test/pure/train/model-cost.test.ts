import { expect, it } from 'vitest';
import { costEvent, modelCost, requireMemory } from '../../../gpu-node/train/model-cost.ts';

const cost = modelCost([[30_522, 384], [384]], 2);

it('says what a whole model costs, with figures', () => {
  expect(cost.parameters).toBe(30_523 * 384);
  expect(cost.file).toBe(4 * cost.parameters);
  expect(cost.memory).toBe(15 * cost.file);
  const { message, data } = costEvent(cost);
  expect(message).toContain('all 11720832 weights');
  expect(data).toMatchObject({ file_bytes: cost.file, memory_bytes: cost.memory });
});

it('refuses a whole model where a node lacks the memory, and says how much it takes and has', () => {
  expect(() => requireMemory(cost, cost.memory)).not.toThrow();
  expect(() => requireMemory(cost, 512 * 2 ** 20)).toThrow(
    /some 671 MiB of memory .*, this node has 512 MiB free: train a smaller base model/,
  );
});
