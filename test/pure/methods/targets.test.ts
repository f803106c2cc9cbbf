import { describe, expect, it } from 'vitest';
import { matchTargets } from '../../../gpu-node/methods/targets.ts';
import type { LinearLayer } from '../../../gpu-node/models/sites.ts';

const layers: LinearLayer[] = [0, 1].flatMap((index) =>
  ['attention.self.query', 'attention.output.dense', 'output.dense'].map((suffix) => ({
    name: `bert.encoder.layer.${index}.${suffix}`,
    inFeatures: 4,
    outFeatures: 4,
  })),
);
const names = (targets: string[] | 'all-linear') =>
  matchTargets(targets, layers).map(({ name }) => name.replace('bert.encoder.layer.', ''));

describe('target modules', () => {
  it('match the end of a name behind a dot, as PEFT does', () => {
    expect(names(['query'])).toEqual(['0.attention.self.query', '1.attention.self.query']);
    expect(names(['output.dense'])).toHaveLength(4);
    expect(names(['attention.output.dense'])).toHaveLength(2);
  });

  it('match a whole name', () => {
    expect(names(['bert.encoder.layer.1.output.dense'])).toEqual(['1.output.dense']);
  });

  it('keep the order of the layers, and each layer once', () => {
    expect(names(['output.dense', 'query', 'attention.output.dense'])).toEqual(names('all-linear'));
  });

  it.each(['uery', 'layer', 'pooler.dense', ''])(
    'refuse %j, which is no layer, and say what there is',
    (target) => {
      expect(() => names(['query', target])).toThrow(
        expect.objectContaining({
          code: 'invalid_request',
          param: 'method.target_modules',
          message: `target_modules: ${JSON.stringify(target)} is no linear layer of the base model, which has attention.self.query, attention.output.dense, output.dense`,
        }),
      );
    },
  );
});
