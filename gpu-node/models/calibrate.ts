import { readFile } from 'node:fs/promises';
import { loadTokenizer } from '../data/tokenizer.ts';
import { Graph } from '../graph/builder.ts';
import type { Value } from '../graph/ir.ts';
import { encodeModel } from '../graph/onnx.ts';
import { bestRange, ValueHistogram } from '../precision/input-range.ts';
import type { InputRanges } from '../precision/precision.ts';
import { floats, Session } from '../runtime/session.ts';
import { encoderFeeds, encoderInputs } from './inputs.ts';
import type { BaseModel } from './model.ts';
import type { LinearCall } from './sites.ts';

/** A text a line: addresses in the public domain, and sentences of many other kinds written for this file. */
const TEXTS = new URL('./calibration.txt', import.meta.url);
/** Tokens of a text that are read. */
const MAX_TOKENS = 128;

/**
 * The range of what goes into each linear layer of the encoder, measured on the calibration texts, one at a time and so without padding.
 * Runs the float32 model over them twice: for the ends, then for the histograms between.
 * @param folder of the base model, for its tokenizer
 */
export async function calibrate(base: BaseModel, folder: string): Promise<InputRanges> {
  const tokenizer = await loadTokenizer(folder);
  const length = Math.min(MAX_TOKENS, base.architecture.maxLength);
  const lines = (await readFile(TEXTS, 'utf8')).trim().split('\n');
  const texts = lines.map((line) => tokenizer.encode(line, length).ids);
  const { graph, outputOf } = inputsGraph(base);
  const session = await Session.create(encodeModel(graph), {
    name: 'calibration',
    weightsFolder: base.weightsFolder,
  });
  const forEach = async (visit: (output: string, elements: Float32Array) => void) => {
    for (const ids of texts) {
      const attentionMask = new Float32Array(ids.length).fill(1);
      const outputs = await session.run(
        encoderFeeds({ rows: 1, length: ids.length, inputIds: ids, attentionMask }),
      );
      for (const output of Object.keys(outputs)) visit(output, floats(outputs, output));
    }
  };
  try {
    const ends = new Map<string, [number, number]>();
    await forEach((output, elements) => ends.set(output, endsOf(elements, ends.get(output))));
    const histograms = new Map(
      [...ends].map(([output, [low, high]]) => [output, new ValueHistogram(low, high)]),
    );
    await forEach((output, elements) => histograms.get(output)!.add(elements));
    const ranges = new Map(
      [...histograms].map(([output, histogram]) => [output, bestRange(histogram)] as const),
    );
    return new Map([...outputOf].map(([layer, output]) => [layer, ranges.get(output)!]));
  } finally {
    await session.release();
  }
}

/** A graph whose outputs are what goes into the encoder's linear layers; layers that read the same have one output. */
function inputsGraph(base: BaseModel): { graph: Graph; outputOf: ReadonlyMap<string, string> } {
  const graph = new Graph('calibration');
  const inputs = encoderInputs(graph, 'batch-first');
  const outputs = new Map<Value, string>();
  const outputOf = new Map<string, string>();
  const watch = ({ layer, x }: LinearCall) => {
    const output = outputs.get(x) ?? `input.${outputs.size}`;
    if (!outputs.has(x)) graph.output(output, x);
    outputs.set(x, output);
    outputOf.set(layer.name, output);
    return undefined;
  };
  base.architecture.encode(base.weights, inputs, { linear: watch });
  return { graph, outputOf };
}

function endsOf(elements: Float32Array, [low, high] = [0, Number.MIN_VALUE]): [number, number] {
  for (let i = 0; i < elements.length; i++) {
    const element = elements[i]!;
    if (element < low) low = element;
    if (element > high) high = element;
  }
  return [low, high];
}
