import type { Graph } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
import { encodeModel } from '../graph/onnx.ts';
import { type Feeds, type Outputs, Session, tensor } from './session.ts';

/** Float32 inputs of a graph whose values are known while it is built. */
export class KnownInputs {
  readonly feeds: Record<string, Feeds[string]> = {};
  readonly #graph: Graph;

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  add(name: string, shape: readonly number[], data: Float32Array): Value {
    this.feeds[name] = tensor('float32', shape, data);
    return this.#graph.input(name, 'float32', shape);
  }
}

/** Runs a graph once, on the CPU. `weightsFolder` holds the weight files that it refers to. */
export async function runOnce(graph: Graph, weightsFolder: string, feeds: Feeds = {}): Promise<Outputs> {
  const session = await Session.create(encodeModel(graph), { name: graph.name, weightsFolder, threads: 1 });
  try {
    return await session.run(feeds);
  } finally {
    await session.release();
  }
}
