import { describe, expect, it } from 'vitest';
import { Graph } from '../../../gpu-node/graph/builder.ts';
import { encodeModel } from '../../../gpu-node/graph/onnx.ts';
import { encoderFeeds, encoderInputs } from '../../../gpu-node/models/inputs.ts';
import type { BaseModel, HiddenLayout } from '../../../gpu-node/models/model.ts';
import { NO_SITES } from '../../../gpu-node/models/sites.ts';
import { add, matMul, mul, transpose, unsqueeze } from '../../../gpu-node/ops/index.ts';
import { floats, Session } from '../../../gpu-node/runtime/session.ts';
import { POOLINGS } from '../../../shared/peft-config.ts';
import {
  type ExpectedOutputs,
  maxDifference,
  openTinyBert,
  readExpected,
  toTokenBatch,
  withFolder,
} from '../../support/tiny-bert.ts';

/** A graph that gives everything the fixture records. */
function everything(base: BaseModel, classifier: ExpectedOutputs['classifier'], layout: HiddenLayout): Graph {
  const graph = new Graph('tiny-bert');
  const inputs = encoderInputs(graph, layout);
  const hidden = base.architecture.encode(base.weights, inputs, NO_SITES);
  const byRow = layout === 'seq-first' ? transpose(hidden, [1, 0, 2]) : hidden;
  graph.output('hidden', mul(byRow, unsqueeze(inputs.attentionMask, [2])));
  const columns = classifier.weight[0]!.map((_, column) => classifier.weight.map((row) => row[column]!));
  const weight = graph.constant('float32', [columns.length, columns[0]!.length], columns.flat());
  const bias = graph.constant('float32', [classifier.bias.length], classifier.bias);
  for (const pooling of POOLINGS) {
    const pooled = base.architecture.pool(pooling, hidden, base.weights, inputs, NO_SITES);
    graph.output(pooling, pooled);
    graph.output(`${pooling}_logits`, add(matMul(pooled, weight), bias));
  }
  return graph;
}

describe.each(['seq-first', 'batch-first'] as const)('BERT, hidden states %s', (layout) => {
  it("computes what transformers' BertForSequenceClassification does, for both poolings and padded rows", () =>
    withFolder(async (folder) => {
      const expected = await readExpected();
      const base = await openTinyBert(folder);
      const model = encodeModel(everything(base, expected.classifier, layout));
      const session = await Session.create(model, { weightsFolder: folder, threads: 1 });
      for (const batch of expected.batches) {
        const outputs = await session.run(encoderFeeds(toTokenBatch(batch)));
        expect(maxDifference(floats(outputs, 'hidden'), batch.last_hidden_state.flat(2))).toBeLessThan(1e-4);
        expect(maxDifference(floats(outputs, 'cls'), batch.pooler_output.flat())).toBeLessThan(1e-4);
        expect(maxDifference(floats(outputs, 'cls_logits'), batch.cls_logits.flat())).toBeLessThan(1e-4);
        expect(maxDifference(floats(outputs, 'mean_logits'), batch.mean_logits.flat())).toBeLessThan(1e-4);
      }
      await session.release();
    }));
});
