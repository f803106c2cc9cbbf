import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { Graph } from '../../../gpu-node/graph/builder.ts';
import { encodeModel } from '../../../gpu-node/graph/onnx.ts';
import { encoderFeeds, encoderInputs } from '../../../gpu-node/models/inputs.ts';
import type { BaseModel, HiddenLayout } from '../../../gpu-node/models/model.ts';
import { NO_SITES } from '../../../gpu-node/models/sites.ts';
import { mul, transpose, unsqueeze } from '../../../gpu-node/ops/index.ts';
import { classify, trainedHead } from '../../../gpu-node/parts/head.ts';
import { floats, Session } from '../../../gpu-node/runtime/session.ts';
import { POOLINGS } from '../../../shared/peft-config.ts';
import {
  type FixtureBatch,
  maxDifference,
  openFixture,
  toTokenBatch,
  withFolder,
} from '../../support/tiny-bert.ts';

interface Expected {
  /** Tensors of the classification head by their names: `[out, in]` or `[out]`. */
  head: Record<string, number[] | number[][]>;
  batches: (FixtureBatch & {
    last_hidden_state: number[][][];
    cls_logits: number[][];
    mean_logits: number[][];
  })[];
}

async function readExpected(model: string): Promise<Expected> {
  return JSON.parse(await readFile(`test/fixtures/${model}/expected.json`, 'utf8'));
}

function everything(base: BaseModel, head: Expected['head'], layout: HiddenLayout): Graph {
  const { architecture, weights } = base;
  const graph = new Graph('family');
  const inputs = encoderInputs(graph, layout);
  const hidden = architecture.encode(weights, inputs, NO_SITES);
  const byRow = layout === 'seq-first' ? transpose(hidden, [1, 0, 2]) : hidden;
  graph.output('hidden', mul(byRow, unsqueeze(inputs.attentionMask, [2])));
  const parameters = Object.fromEntries(
    Object.entries(head).map(([name, rows]) => {
      const shape = Array.isArray(rows[0]) ? [rows.length, rows[0].length] : [rows.length];
      return [name, graph.constant('float32', shape, rows.flat())];
    }),
  );
  for (const pooling of POOLINGS) {
    const pooled = architecture.pool(pooling, hidden, weights, inputs, NO_SITES);
    graph.output(`${pooling}_logits`, classify(architecture.head, pooled, trainedHead(parameters)).logits);
  }
  return graph;
}

const cases = ['tiny-roberta', 'tiny-xlm-roberta', 'tiny-distilbert'].flatMap((model) =>
  (['seq-first', 'batch-first'] as const).map((layout) => [model, layout] as const),
);

describe.each(cases)('%s, hidden states %s', (model, layout) => {
  it("computes what transformers' sequence classifier does, for both poolings and padded rows", () =>
    withFolder(async (folder) => {
      const expected = await readExpected(model);
      const base = await openFixture(model, folder);
      expect(base.poolings).toEqual(['mean', 'cls']);
      const graph = everything(base, expected.head, layout);
      const session = await Session.create(encodeModel(graph), { weightsFolder: folder, threads: 1 });
      for (const batch of expected.batches) {
        const outputs = await session.run(encoderFeeds(toTokenBatch(batch)));
        expect(maxDifference(floats(outputs, 'hidden'), batch.last_hidden_state.flat(2))).toBeLessThan(1e-4);
        expect(maxDifference(floats(outputs, 'cls_logits'), batch.cls_logits.flat())).toBeLessThan(1e-4);
        expect(maxDifference(floats(outputs, 'mean_logits'), batch.mean_logits.flat())).toBeLessThan(1e-4);
      }
      await session.release();
    }));
});
