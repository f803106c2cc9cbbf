import type { Graph } from '../graph/builder.ts';
import { encodeModel } from '../graph/onnx.ts';
import { type Feeds, type Outputs, Session } from './session.ts';

/** Runs a graph once, on the CPU. `weightsFolder` holds the weight files that it refers to. */
export async function runOnce(graph: Graph, weightsFolder: string, feeds: Feeds = {}): Promise<Outputs> {
  const session = await Session.create(encodeModel(graph), { name: graph.name, weightsFolder, threads: 1 });
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}
