import { describe, expect, test } from 'vitest';
import { gradients } from '../../../gpu-node/autograd/backward.ts';
import { Graph } from '../../../gpu-node/graph/builder.ts';
import { encodeModel } from '../../../gpu-node/graph/onnx.ts';
import { crossEntropy } from '../../../gpu-node/ops/index.ts';
import { floats, Session, tensor } from '../../../gpu-node/runtime/session.ts';

const LOGITS = [
  [1, -2, 0.5],
  [0.3, 0.2, -1],
  [2, 2, 2],
  [-3, 4, 1],
];

async function lossAndGradient(labels: number[], weights?: number[]) {
  const graph = new Graph('loss');
  const logits = graph.input('logits', 'float32', ['batch', 3]);
  const classWeights = weights && graph.constant('float32', [3], weights);
  const loss = crossEntropy(logits, graph.input('labels', 'int32', ['batch']), classWeights);
  graph.output('loss', loss);
  graph.output('grad', gradients(loss, [logits])[0]!);
  const session = await Session.create(encodeModel(graph), { threads: 1 });
  const outputs = await session.run({
    logits: tensor('float32', [4, 3], Float32Array.from(LOGITS.flat())),
    labels: tensor('int32', [4], Int32Array.from(labels)),
  });
  await session.release();
  return { loss: floats(outputs, 'loss')[0]!, grad: floats(outputs, 'grad') };
}

/** The definition, in double precision: sum of w[y] * -log p[y] over the sum of w[y]; its gradient w[y] * (p - onehot). */
function expected(labels: number[], weights = [1, 1, 1]) {
  const rows = labels.map((label, i) => {
    const exps = LOGITS[i]!.map(Math.exp);
    const p = exps.map((e) => e / exps.reduce((a, b) => a + b));
    const weight = weights[label] ?? 0;
    return { weight, loss: weight === 0 ? 0 : -Math.log(p[label]!), p, label };
  });
  const total = rows.reduce((sum, { weight }) => sum + weight, 0);
  return {
    loss: rows.reduce((sum, { weight, loss }) => sum + weight * loss, 0) / total,
    grad: rows.flatMap(({ weight, p, label }) =>
      p.map((q, c) => (weight * (q - Number(c === label))) / total),
    ),
  };
}

describe('cross-entropy', () => {
  test.each([
    ['of the mean', [0, 1, 2, 1], undefined],
    ['weighted by class', [0, 1, 2, 1], [0.5, 2, 1]],
    ['without the rows whose label is no class', [0, -100, 2, -100], [0.5, 2, 1]],
  ])('has the value and the gradient of its definition (%s)', async (_, labels, weights) => {
    const { loss, grad } = await lossAndGradient(labels, weights);
    const wanted = expected(labels, weights);
    expect(loss).toBeCloseTo(wanted.loss, 5);
    wanted.grad.forEach((g, i) => {
      expect(grad[i]).toBeCloseTo(g, 5);
    });
  });

  test('names what it was given when that is no batch of logits and labels', () => {
    const graph = new Graph('loss');
    const logits = graph.input('logits', 'float32', ['batch', 3]);
    expect(() => crossEntropy(logits, graph.input('long', 'int64', ['batch']))).toThrow(
      'crossEntropy: labels are int64[batch], not int32[batch]',
    );
    expect(() => crossEntropy(graph.input('row', 'float32', [3]), logits)).toThrow(
      'crossEntropy: logits are float32[3], not [batch, number of classes]',
    );
  });
});
