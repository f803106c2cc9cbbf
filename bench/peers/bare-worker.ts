import { workerData } from 'node:worker_threads';
import { Graph } from '../../gpu-node/graph/builder.ts';
import { encodeModel } from '../../gpu-node/graph/onnx.ts';
import { encoderFeeds, encoderInputs, padToLongest } from '../../gpu-node/models/inputs.ts';
import { type BaseModelSource, openBaseModel } from '../../gpu-node/models/open-base-model.ts';
import { NO_SITES } from '../../gpu-node/models/sites.ts';
import { Session } from '../../gpu-node/runtime/session.ts';
import { serveCalls } from '../../gpu-node/runtime/worker-thread.ts';
import type { ForwardRow } from '../../gpu-node/serve/forward.ts';
import type { BasePrecision } from '../../shared/peft-config.ts';

export interface BareWorkerData {
  base: BaseModelSource;
  precision: BasePrecision;
  threads: number;
}

const { base, precision, threads } = workerData as BareWorkerData;
const session = open();

const handlers = {
  ready: async (_: null) => {
    await session;
  },
  run: async (rows: readonly ForwardRow[]) => {
    await (await session).run(encoderFeeds(padToLongest(rows)));
  },
};
export type BareHandlers = typeof handlers;

serveCalls(handlers);

/** Opens encoder and pooling alone: no adapter, no classifier, no answer. */
async function open(): Promise<Session> {
  const { architecture, weights, weightsFolder } = await openBaseModel(base, precision);
  const graph = new Graph('bare');
  const inputs = encoderInputs(graph, 'batch-first');
  const hidden = architecture.encode(weights, inputs, NO_SITES);
  graph.output('pooled', architecture.pool('mean', hidden, weights, inputs, NO_SITES));
  return Session.create(encodeModel(graph), { name: 'bare', weightsFolder, threads });
}
