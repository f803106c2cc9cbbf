import { describe, expect, it } from 'vitest';
import { methodOf } from '../../../gpu-node/methods/index.ts';
import { bert } from '../../../gpu-node/models/bert.ts';
import { resolveMethod } from '../../../gpu-node/train/auto.ts';
import { peftRequest } from '../../../shared/peft-config.ts';

function resolve(request: object, hidden_size: number) {
  const architecture = bert({
    model_type: 'bert',
    vocab_size: 100,
    hidden_size,
    num_hidden_layers: 1,
    num_attention_heads: 1,
    intermediate_size: 4 * hidden_size,
    max_position_embeddings: 64,
    type_vocab_size: 2,
    hidden_act: 'gelu',
    layer_norm_eps: 1e-12,
    initializer_range: 0.02,
  });
  const facts = {
    lengths: [8],
    architecture,
    poolings: ['mean', 'cls'] as const,
    fastestPrecision: 'fp32' as const,
  };
  const method = resolveMethod(peftRequest.parse({ type: 'road', ...request }), facts);
  methodOf(method).modules(method, architecture);
  return method;
}

describe("RoAd's groups", () => {
  it.each([
    [384, 64],
    [312, 8],
    [6, 2],
  ])('are as large as fill every layer, and no larger than is usual: %i wide, %i', (width, group_size) => {
    expect(resolve({}, width)).toMatchObject({ variant: 'road_1', group_size });
  });

  it('that do not fill a layer are refused before anything is trained', () => {
    const refused = expect.objectContaining({ code: 'invalid_request', param: 'method.group_size' });
    expect(() => resolve({ group_size: 48 }, 32)).toThrow(refused);
    expect(() => resolve({}, 7)).toThrow(refused);
    expect(() => resolve({ group_size: 8, target_modules: ['nothing'] }, 32)).toThrow(
      expect.objectContaining({ param: 'method.target_modules' }),
    );
    expect(peftRequest.safeParse({ type: 'road', group_size: 0 }).success).toBe(false);
    expect(peftRequest.safeParse({ type: 'road', group_size: 3 }).success).toBe(false);
  });
});
