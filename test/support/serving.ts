import { Graph } from '../../gpu-node/graph/builder.ts';
import { encodeModel } from '../../gpu-node/graph/onnx.ts';
import { encoderFeeds, encoderInputs, type TokenBatch } from '../../gpu-node/models/inputs.ts';
import type { BaseModel, LinearLayer } from '../../gpu-node/models/model.ts';
import { unsqueeze, where } from '../../gpu-node/ops/index.ts';
import { classifierStacks, classifyBySlot } from '../../gpu-node/peft/classifier.ts';
import type { ServedAdapter, ServingMethod, SlotSizes, Stack } from '../../gpu-node/peft/method.ts';
import { type Feeds, floats, Session, tensor } from '../../gpu-node/runtime/session.ts';
import type { Pooling } from '../../shared/peft-config.ts';

/** One row of a mixed batch; slot 0 is the bare base model. */
export interface Row {
  slot: number;
  pooling: Pooling;
}

/** The smallest thing that serves many adapters in one run: what a method's serving half promises, and no more. */
export class MixedServer {
  readonly #session: Session;
  readonly #stacks: readonly Stack[];

  private constructor(session: Session, stacks: readonly Stack[]) {
    this.#session = session;
    this.#stacks = stacks;
  }

  static async create(
    base: BaseModel,
    serving: ServingMethod,
    layers: readonly LinearLayer[],
  ): Promise<MixedServer> {
    const { architecture, weights, weightsFolder } = base;
    const graph = new Graph('mixed');
    const inputs = encoderInputs(graph, 'batch-first');
    const slots = graph.input('slots', 'int32', ['batch']);
    const usesCls = graph.input('uses_cls', 'bool', ['batch']);
    const stacks = [...serving.stacks(layers), ...classifierStacks(architecture.head)];
    const values = Object.fromEntries(
      stacks.map(({ name, shape }) => [name, graph.input(name, 'float32', ['slots', ...shape])]),
    );
    const linear = serving.inject(layers, values, slots);
    const hidden = architecture.encode(weights, inputs, linear);
    const pool = (pooling: Pooling) => architecture.pool(pooling, hidden, weights, inputs, linear);
    const pooled = where(unsqueeze(usesCls, [1]), pool('cls'), pool('mean'));
    graph.output('logits', classifyBySlot(architecture.head, pooled, values, slots));
    graph.output('pooled', pooled);
    return new MixedServer(await Session.create(encodeModel(graph), { weightsFolder, threads: 1 }), stacks);
  }

  /** Logits `[batch, labels]` and pooled vectors `[batch, hidden]`; `adapters[i]` has slot i + 1. */
  async run(adapters: readonly ServedAdapter[], rows: readonly Row[], tokens: TokenBatch) {
    const largest = (size: keyof SlotSizes) => Math.max(1, ...adapters.map(({ sizes }) => sizes[size]));
    const sizes = { rank: largest('rank'), labels: largest('labels') };
    const feeds: Feeds = {
      ...encoderFeeds(tokens),
      ...Object.fromEntries(this.#stacks.map((stack) => [stack.name, stacked(stack, adapters, sizes)])),
      slots: tensor(
        'int32',
        [rows.length],
        Int32Array.from(rows, ({ slot }) => slot),
      ),
      uses_cls: tensor(
        'bool',
        [rows.length],
        Uint8Array.from(rows, ({ pooling }) => Number(pooling === 'cls')),
      ),
    };
    const outputs = await this.#session.run(feeds);
    return { logits: floats(outputs, 'logits'), pooled: floats(outputs, 'pooled'), labels: sizes.labels };
  }

  release(): Promise<void> {
    return this.#session.release();
  }
}

function stacked(stack: Stack, adapters: readonly ServedAdapter[], sizes: SlotSizes) {
  const shape = stack.shape.map((size) => (typeof size === 'number' ? size : sizes[size]));
  const size = shape.reduce((product, each) => product * each, 1);
  const data = new Float32Array((adapters.length + 1) * size);
  adapters.forEach((adapter, i) => {
    adapter.fill(stack, sizes, data.subarray((i + 1) * size, (i + 2) * size));
  });
  return tensor('float32', [adapters.length + 1, ...shape], data);
}
