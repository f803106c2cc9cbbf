import { describe, expect, it } from 'vitest';
import { gradients } from '../../../gpu-node/autograd/backward.ts';
import { Graph } from '../../../gpu-node/graph/builder.ts';
import { encodeModel } from '../../../gpu-node/graph/onnx.ts';
import { encoderFeeds, encoderInputs, type TokenBatch } from '../../../gpu-node/models/inputs.ts';
import type { BaseModel } from '../../../gpu-node/models/model.ts';
import { openBaseModel } from '../../../gpu-node/models/open-base-model.ts';
import { NO_SITES } from '../../../gpu-node/models/sites.ts';
import { mul, reduceSum } from '../../../gpu-node/ops/index.ts';
import { decidePrecision } from '../../../gpu-node/precision/auto-precision.ts';
import { int8 as int8Of, quantizeColumns, weightLevels } from '../../../gpu-node/precision/int8.ts';
import { exactWeightBits, multipliesExactly, race } from '../../../gpu-node/precision/probe.ts';
import { Random } from '../../../gpu-node/random.ts';
import { floats, Session, tensor } from '../../../gpu-node/runtime/session.ts';
import { readExpected, TINY_BERT, toTokenBatch, withFolder } from '../../support/tiny-bert.ts';

const LAYER = 'bert.encoder.layer.1.intermediate.dense';

/** What this machine serves and trains with. */
const exact = await exactWeightBits();
/** Either form of the weights lies in a file anywhere; products of 8 bits are computed where the CPU does not saturate them. */
const FORMS = [7, 8] as const;
const COMPUTED = FORMS.filter((bits) => bits <= exact);
console.info(`products of this CPU are exact in ${exact} bits: ${COMPUTED.join(' and ')} are computed`);

/** Both precisions of the fixture's model, as a CPU has them whose products are exact in so many bits. */
function withBoth<T>(
  bits: 7 | 8,
  use: (bases: { fp32: BaseModel; int8: BaseModel }) => Promise<T>,
): Promise<T> {
  return withFolder(async (folder) => {
    const source = { id: 'tiny-bert', folder: TINY_BERT, sha256: '0'.repeat(64), weightsFolder: folder };
    return use({
      fp32: await openBaseModel(source),
      int8: await openBaseModel(source, 'int8', int8Of(bits)),
    });
  });
}

/**
 * A step of a weight's rounding, relative to the largest of its column, of which errors are some share: the root of the mean square of the
 * weights' own is 0.7 of it here, and the rounding of inputs adds as much again.
 */
const step = (bits: 7 | 8) => 1 / weightLevels(bits);

async function run(base: BaseModel, graph: Graph, feeds: Parameters<Session['run']>[0]) {
  const session = await Session.create(encodeModel(graph), { weightsFolder: base.weightsFolder, threads: 1 });
  const outputs = await session.run(feeds);
  await session.release();
  return outputs;
}

/** Mean-pooled vectors of a batch. */
async function pooled(base: BaseModel, batch: TokenBatch): Promise<Float32Array> {
  const graph = new Graph('pooled');
  const inputs = encoderInputs(graph, 'batch-first');
  const hidden = base.architecture.encode(base.weights, inputs, NO_SITES);
  graph.output('pooled', base.architecture.pool('mean', hidden, base.weights, inputs, NO_SITES));
  return floats(await run(base, graph, encoderFeeds(batch)), 'pooled');
}

/** Root of the mean square of a difference, relative to that of what was expected. */
function relativeError(actual: Float32Array, expected: Float32Array): number {
  const square = (values: Float32Array) => values.reduce((sum, x) => sum + x * x, 0);
  return Math.sqrt(square(actual.map((x, i) => x - expected[i]!)) / square(expected));
}

/** One row of a batch, padding included. */
function rowOf({ length, inputIds, attentionMask, tokenTypeIds }: TokenBatch, row: number): TokenBatch {
  const [from, to] = [row * length, (row + 1) * length];
  return {
    rows: 1,
    length,
    inputIds: inputIds.slice(from, to),
    attentionMask: attentionMask.slice(from, to),
    tokenTypeIds: tokenTypeIds!.slice(from, to),
  };
}

describe.each(COMPUTED)('a base model whose weights have %i bits', (bits) => {
  it('computes nearly what it does in float32', () =>
    withBoth(bits, async ({ fp32, int8 }) => {
      for (const fixture of (await readExpected()).batches) {
        const batch = toTokenBatch(fixture);
        expect(relativeError(await pooled(int8, batch), await pooled(fp32, batch))).toBeLessThan(
          2 * step(bits),
        );
      }
    }));

  it('gives a row what it gets alone, whatever its neighbours', () =>
    withBoth(bits, async ({ int8 }) => {
      const batch = toTokenBatch((await readExpected()).batches[0]!);
      const together = await pooled(int8, batch);
      const width = int8.architecture.hiddenSize;
      for (let row = 0; row < batch.rows; row++) {
        const alone = await pooled(int8, rowOf(batch, row));
        const expected = together.slice(row * width, (row + 1) * width);
        expect(relativeError(alone, expected)).toBeLessThan(1e-6);
      }
    }));

  it('passes nearly the gradient of float32 through a layer', () =>
    withBoth(bits, async (bases) => {
      const random = new Random(3, 'gradient');
      const [rows, inner, outer] = [5, 32, 64];
      const draw = (size: number) => Float32Array.from({ length: size }, () => random.normal());
      const feeds = {
        x: tensor('float32', [rows, inner], draw(rows * inner)),
        factors: tensor('float32', [rows, outer], draw(rows * outer)),
      };
      const gradient = async (base: BaseModel) => {
        const graph = new Graph('gradient');
        const x = graph.input('x', 'float32', ['rows', inner]);
        const y = base.weights.linear(graph, LAYER).apply(x);
        const weighted = mul(y, graph.input('factors', 'float32', ['rows', outer]));
        const [dx] = gradients(reduceSum(weighted, [0, 1], { keepDims: false }), [x]);
        graph.output('dx', dx!);
        return floats(await run(base, graph, feeds), 'dx');
      };
      expect(relativeError(await gradient(bases.int8), await gradient(bases.fp32))).toBeLessThan(
        2 * step(bits),
      );
    }));
});

describe.each(FORMS)('what is stored of a base model in %i bits', (bits) => {
  it('knows its matrices', () =>
    withBoth(bits, async (bases) => {
      const matrix = async (base: BaseModel) => {
        const graph = new Graph('matrix');
        graph.output(
          'matrix',
          mul(base.weights.linear(graph, LAYER).matrix(), graph.input('one', 'float32', [])),
        );
        return floats(await run(base, graph, { one: tensor('float32', [], Float32Array.of(1)) }), 'matrix');
      };
      expect(relativeError(await matrix(bases.int8), await matrix(bases.fp32))).toBeLessThan(
        0.8 * step(bits),
      );
    }));

  it('holds no matrix and no table of the encoder in float32', () =>
    withBoth(bits, async ({ int8 }) => {
      const large = Object.values(int8.weights.tensors).filter(
        ({ dtype, shape }) => dtype === 'float32' && shape.length > 1,
      );
      expect(large.map(({ name }) => name).sort()).toEqual([
        'bert.embeddings.position_embeddings.weight',
        'bert.embeddings.token_type_embeddings.weight',
        'bert.pooler.dense.weight',
      ]);
    }));
});

describe('a column of a quantized matrix', () => {
  it.each(FORMS)('is at most half a step of %i bits off, and a column of zeros stays zeros', (bits) => {
    const matrix = Float32Array.of(1, 0, -0.5, -3, 0, 0.25);
    const { elements, scales } = quantizeColumns(matrix, 3, weightLevels(bits));
    const off = [...elements].map(
      (element, i) => Math.abs(element * scales[i % 3]! - matrix[i]!) / scales[i % 3]!,
    );
    expect(Math.max(...off)).toBeLessThanOrEqual(0.5 + 1e-6);
    expect([elements[1], elements[4]]).toEqual([0, 0]);
  });
});

describe('what a machine is asked', () => {
  it('how many bits of a weight multiply exactly: 7 do on any', async () => {
    expect(await multipliesExactly(7)).toBe(true);
    expect(await multipliesExactly(8)).toBe(exact === 8);
  });

  it('which precision is faster, which is decided by a race that ends', async () => {
    expect(['fp32', 'int8']).toContain(await race(decidePrecision));
  });
});
