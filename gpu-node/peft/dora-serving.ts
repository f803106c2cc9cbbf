import type { AdapterDescription } from '../../shared/adapter-description.ts';
import { AppError } from '../../shared/errors.ts';
import { type TensorEntry, toFloat32 } from '../../shared/safetensors.ts';
import { Graph } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
import type { BaseModel, LinearHook, LinearLayer } from '../models/model.ts';
import { add, div, gather, matMul, mul, sqrt, sub, swapLastAxes, unsqueeze } from '../ops/index.ts';
import { runOnce } from '../runtime/run-once.ts';
import { type Feeds, floats, tensor } from '../runtime/session.ts';
import { nameMagnitude, squaredNorms } from './dora.ts';
import { loraServing } from './lora.ts';
import type { Parameters, ServedAdapter, ServingMethod, Stack, TensorBytes } from './method.ts';

/**
 * How DoRA adapters are served, beside LoRA ones where they meet: the norms do not depend on the text, so a layer is LoRA's and then
 * grows by t = m / ‖W + s·B·A‖ - 1, computed when an adapter is loaded: y = z + t⊙(z - b), where z is what LoRA gives. t is 0 for the bare
 * base and for LoRA.
 */
export const doraServing: ServingMethod = { stacks, inject, read };

function stacks(layers: readonly LinearLayer[]): readonly Stack[] {
  const growths = layers.map((layer): Stack => ({ name: nameMagnitude(layer), shape: [layer.outFeatures] }));
  return [...loraServing.stacks(layers), ...growths];
}

function inject(layers: readonly LinearLayer[], stacked: Parameters, slots: Value): LinearHook {
  const wrapped = new Set(layers.map(({ name }) => name));
  const change = loraServing.inject(layers, stacked, slots);
  return (call) => {
    const changed = change(call);
    if (!wrapped.has(call.layer.name)) return changed;
    const ofRow = gather(stacked[nameMagnitude(call.layer)]!, slots);
    const growth = changed.shape.length === 3 ? unsqueeze(ofRow, [1]) : ofRow;
    return sub(mul(changed, add(growth, 1)), mul(growth, call.frozen.bias));
  };
}

async function read(
  description: AdapterDescription,
  bytes: TensorBytes,
  base: BaseModel,
): Promise<ServedAdapter> {
  const { sizes, fill } = await loraServing.read(description, bytes, base);
  const growths = await readGrowths(description, bytes, base);
  return {
    sizes,
    fill: (stack, stackSizes, slot) => {
      const growth = growths.get(stack.name);
      if (growth) slot.set(growth);
      else fill(stack, stackSizes, slot);
    },
  };
}

/** By how much each output `[out]` grows beyond LoRA's, by the name of its stack; one graph for all layers, whatever the base's precision. */
async function readGrowths(
  { targets }: AdapterDescription,
  bytes: TensorBytes,
  { weights, weightsFolder }: BaseModel,
): Promise<ReadonlyMap<string, Float32Array>> {
  const graph = new Graph('magnitudes');
  const feeds: Record<string, Feeds[string]> = {};
  const input = (entry: TensorEntry) => {
    const data = toFloat32(bytes(entry), entry).slice();
    feeds[entry.name] = tensor('float32', entry.shape, data);
    return graph.input(entry.name, 'float32', entry.shape);
  };
  for (const { module, a, b, magnitude, scaling } of targets) {
    if (!magnitude) continue;
    const change = mul(swapLastAxes(matMul(input(b), input(a))), scaling);
    const changed = add(weights.linear(graph, module).matrix(), change);
    graph.output(nameMagnitude({ name: module }), sub(div(input(magnitude), sqrt(squaredNorms(changed))), 1));
  }
  const names = [...graph.outputs.keys()];
  const outputs = names.length === 0 ? {} : await runOnce(graph, weightsFolder, feeds);
  return new Map(names.map((name) => [name, finite(name, floats(outputs, name))]));
}

/** A row of weights that is 0 has no direction to scale. */
function finite(name: string, growth: Float32Array): Float32Array {
  const at = growth.findIndex((each) => !Number.isFinite(each));
  if (at < 0) return growth;
  throw new AppError(
    'invalid_adapter',
    `${name} [${growth.length}]: the changed weights of output ${at} have no norm to be scaled to it`,
  );
}
